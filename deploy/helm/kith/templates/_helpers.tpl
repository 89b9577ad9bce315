{{/* Names and what several templates share. */}}

{{- define "kith.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "kith.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "kith.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "kith.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What never changes of a part. Takes (dict "root" $ "part" "serve"). */}}
{{- define "kith.selector" -}}
app.kubernetes.io/name: {{ include "kith.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "kith.labels" -}}
{{ include "kith.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "kith.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "kith.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "kith.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* What every pod has. Takes (dict "root" $ "account" "name, or nothing"). */}}
{{- define "kith.pod" -}}
{{- with .account }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: false
# Variables for every service of the namespace would be in the way of the settings' own.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- end }}

{{/* What every container has. */}}
{{- define "kith.container" -}}
image: {{ include "kith.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
{{- end }}

{{/* How nodes and workers are asked how they are. Takes the port's name. */}}
{{- define "kith.probes" -}}
# The process answers. What it needs is not asked: a restart mends neither database nor Redis.
startupProbe:
  httpGet: { path: /healthz, port: {{ . }} }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: {{ . }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
# Database and schema are as this version wants them.
readinessProbe:
  httpGet: { path: /readyz, port: {{ . }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}

{{/* Settings of nodes and workers. */}}
{{- define "kith.environment" -}}
- name: DATABASE_URL_FILE
  value: /run/secrets/kith/database-url
- name: KITH_JWT_PRIVATE_KEY_FILE
  value: /run/secrets/kith/jwt-private-key
- name: KITH_ENCRYPTION_KEY_FILE
  value: /run/secrets/kith/encryption-key
{{- if .Values.secrets.redis }}
- name: REDIS_URL_FILE
  value: /run/secrets/kith/redis-url
{{- end }}
{{- if .Values.secrets.metricsToken }}
- name: KITH_METRICS_TOKEN_FILE
  value: /run/secrets/kith/metrics-token
{{- end }}
{{- if .Values.secrets.mail }}
- name: KITH_MAIL_URL_FILE
  value: /run/secrets/kith/mail-url
{{- end }}
{{- if .Values.secrets.nats }}
- name: KITH_NATS_URL_FILE
  value: /run/secrets/kith/nats-url
{{- end }}
{{- if .Values.secrets.challenge }}
- name: KITH_CHALLENGE_SECRET_FILE
  value: /run/secrets/kith/challenge-secret
{{- end }}
{{- range $name, $value := .Values.environment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Where a kith.toml is mounted, if there is one. */}}
{{- define "kith.hasSettings" -}}
{{- if or .Values.settings.toml .Values.settings.existingSecret }}true{{ end }}
{{- end }}

{{- define "kith.mounts" -}}
- name: secrets
  mountPath: /run/secrets/kith
  readOnly: true
- name: tmp
  mountPath: /tmp
- name: data
  mountPath: /data
{{- if include "kith.hasSettings" . }}
- name: settings
  mountPath: /etc/kith
  readOnly: true
{{- end }}
{{- end }}

{{- define "kith.volumes" -}}
- name: secrets
  secret:
    secretName: {{ .Values.secrets.server }}
    defaultMode: 0440
{{ include "kith.scratch" . }}
{{- include "kith.settingsVolume" . }}
{{- end }}

{{- define "kith.settingsVolume" -}}
{{- if .Values.settings.existingSecret }}
- name: settings
  secret:
    secretName: {{ .Values.settings.existingSecret }}
    defaultMode: 0440
    items:
      - key: kith.toml
        path: kith.toml
{{- else if .Values.settings.toml }}
- name: settings
  configMap:
    name: {{ include "kith.fullname" . }}
{{- end }}
{{- end }}

{{/* Nothing lasting is written: all data is in PostgreSQL. */}}
{{- define "kith.scratch" -}}
- name: tmp
  emptyDir:
    sizeLimit: 16Mi
- name: data
  emptyDir:
    sizeLimit: 16Mi
{{- end }}

{{/* Jobs that log in as the owner see both secrets, and of the first only what they need. Takes (dict "root" $ "keys" (list …)). */}}
{{- define "kith.ownerVolumes" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .root.Values.secrets.owner }}
          items:
            - key: database-migrate-url
              path: database-migrate-url
      - secret:
          name: {{ .root.Values.secrets.server }}
          items:
            {{- range .keys }}
            - key: {{ . }}
              path: {{ . }}
            {{- end }}
{{ include "kith.scratch" .root }}
{{- end }}

{{- define "kith.ownerMounts" -}}
- name: secrets
  mountPath: /run/secrets/kith
  readOnly: true
- name: tmp
  mountPath: /tmp
- name: data
  mountPath: /data
{{- end }}

{{/* A change of the settings' text starts the pods anew. Those of secrets are not seen from here. */}}
{{- define "kith.annotations" -}}
{{- if .root.Values.settings.toml }}
checksum/settings: {{ .root.Values.settings.toml | sha256sum }}
{{- end }}
{{- with .more }}
{{ toYaml . }}
{{- end }}
{{- end }}
