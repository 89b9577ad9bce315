#!/usr/bin/env bash
# Runs once, when the database's volume is empty: the login that owns Kith's tables, and its database.
#
# `kith migrate` makes the other login, kith_app, which owns nothing: row-level security binds it.
set -euo pipefail

# psql reads the password itself, so that no list of processes shows it.
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set password `cat /run/secrets/kith_owner_password`
CREATE ROLE kith_owner LOGIN CREATEROLE PASSWORD :'password';
CREATE DATABASE kith OWNER kith_owner ENCODING 'UTF8' TEMPLATE template0;
SQL
