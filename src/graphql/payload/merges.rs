//! `mergeCompanies`, `unmergeCompany`.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Call, Told, write_errors};
use crate::catalog::MergeStrategy;
use crate::error::{Error, Result, UserError, UserErrorCode};
use crate::infra::db::Tx;
use crate::platform::access::Sight;
use crate::records::selection::{Merged as Field, collect};
use crate::records::write::merge::{Choice, Conflict, How, Merged, Undone, Wanted};
use crate::records::write::{Rejected, Unit};

impl Call<'_> {
    pub(super) async fn merge(&self, unit: &mut Unit<'_>, tx: &Tx, validate_only: bool) -> Result<(String, bool)> {
        let mut done = match self.wanted() {
            Ok((into, from, choices)) => {
                let strategy = self.argument("strategy").as_str().and_then(MergeStrategy::parse).unwrap_or_default();
                let wanted = Wanted { into, from: &from, strategy, choices, input: self.input() };
                settled(unit.merge(&self.of.object, wanted).await)?
            }
            Err(error) => Err(vec![error]),
        };
        unit.lower().await?;
        if let Ok(merged) = &mut done {
            // What hung on the records and is not the caller's to see is not told.
            let mut seen = Vec::new();
            for folded in std::mem::take(&mut merged.folded) {
                if unit.sees_any(folded.other).await? {
                    seen.push(folded);
                }
            }
            merged.folded = seen;
        }
        let told = Told { tx, removed: false, validate_only, set: (done.is_ok() && !validate_only).then_some(unit.set.id), warnings: &[] };
        let payload = self
            .told(
                &told,
                done.as_ref(),
                "MergePayload",
                &|name, merged: &Merged| match name {
                    "mergeId" => told.set.map_or(Json::Null, |_| json!(merged.id)),
                    "mergedIds" => json!(merged.losers),
                    _ => Json::Null,
                },
                |merged| merged.survivor,
            )
            .await?;
        Ok((payload, done.is_ok()))
    }

    pub(super) async fn unmerge(&self, unit: &mut Unit<'_>, tx: &Tx, validate_only: bool) -> Result<(String, bool)> {
        let mut done = match self.id("mergeId") {
            Ok(id) => settled(unit.unmerge(&self.of.object, id).await)?,
            Err(error) => Err(vec![error]),
        };
        unit.lower().await?;
        if let Ok(undone) = &mut done {
            let mut seen = Vec::new();
            for conflict in std::mem::take(&mut undone.conflicts) {
                if unit.sees_any(conflict.record).await? {
                    seen.push(conflict);
                }
            }
            undone.conflicts = seen;
        }
        let told = Told { tx, removed: false, validate_only, set: (done.is_ok() && !validate_only).then_some(unit.set.id), warnings: &[] };
        let payload = self.told(&told, done.as_ref(), "UnmergePayload", &|_, _: &Undone| Json::Null, |undone| undone.survivor).await?;
        Ok((payload, done.is_ok()))
    }

    /// What shall become one, as the arguments say.
    fn wanted(&self) -> Result<(Uuid, Vec<Uuid>, Vec<Choice>), UserError> {
        let into = self.id("into")?;
        let given = self.argument("from");
        let single = std::slice::from_ref(given);
        let parse = |(index, id): (usize, &Json)| {
            let parsed = id.as_str().and_then(|id| Uuid::parse_str(id).ok());
            parsed.ok_or_else(|| UserError::new(UserErrorCode::InvalidValue, &["from", &index.to_string()], "An id is a UUID."))
        };
        let from = given.as_array().map_or(single, Vec::as_slice).iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        let given = self.argument("choices");
        let choices: &[Json] = match given {
            Json::Null => &[],
            Json::Array(choices) => choices,
            one => std::slice::from_ref(one),
        };
        let choices = choices.iter().enumerate().map(choice).collect::<Result<_, _>>()?;
        Ok((into, from, choices))
    }

    /// Writes a payload: the survivor, what is particular to it, what every payload has.
    async fn told<T: Particular>(
        &self,
        told: &Told<'_>,
        done: Result<&T, &Vec<UserError>>,
        payload: &str,
        plain: &(dyn Fn(&str, &T) -> Json + Sync),
        survivor: impl Fn(&T) -> Uuid,
    ) -> Result<String> {
        let mut out = String::from("{");
        for (index, field) in collect(&[self.selection], |_| true).iter().enumerate() {
            out.push_str(if index > 0 { ",\"" } else { "\"" });
            out.push_str(field.key);
            out.push_str("\":");
            match (field.name, done) {
                ("__typename", _) => out.push_str(&format!("\"{}{payload}\"", self.of.type_name)),
                ("userErrors", Err(errors)) => write_errors(errors, field, &mut out),
                ("userErrors" | "warnings", _) | ("mergedIds" | "folded" | "restored" | "conflicts", Err(_)) => out.push_str("[]"),
                ("changeSetId", _) => told.write_set(&mut out),
                (name, Ok(done)) if name == self.of.one => {
                    out.push_str(&self.record(told.tx, survivor(done), &field.children, told.validate_only).await?);
                }
                ("restored", Ok(done)) => {
                    out.push('[');
                    for (index, id) in done.restored().iter().enumerate() {
                        out.push_str(if index > 0 { "," } else { "" });
                        out.push_str(&self.record(told.tx, *id, &field.children, told.validate_only).await?);
                    }
                    out.push(']');
                }
                ("folded", Ok(done)) => out.push_str(&Json::from(done.folded(field)).to_string()),
                ("conflicts", Ok(done)) => {
                    let conflicts: Vec<Json> = done.conflicts().iter().map(|conflict| self.conflict_of(conflict, field)).collect();
                    out.push_str(&Json::from(conflicts).to_string());
                }
                (name, Ok(done)) => out.push_str(&plain(name, done).to_string()),
                (_, Err(_)) => out.push_str("null"),
            }
        }
        out.push('}');
        Ok(out)
    }

    fn conflict_of(&self, conflict: &Conflict, field: &Field<'_>) -> Json {
        let access = self.signed.ctx.access.object(&conflict.object);
        let fields: Vec<&String> = conflict.fields.iter().filter(|name| access.field(name).sight == Sight::Full).collect();
        object_of(field, &|name| match name {
            "object" => json!(crate::catalog::enum_name(&conflict.object)),
            "recordId" => json!(conflict.record),
            "fields" => json!(fields),
            "message" => json!(conflict.message),
            _ => json!("UnmergeConflict"),
        })
    }
}

/// What one of the two payloads has and the other has not.
trait Particular: Sync {
    fn restored(&self) -> &[Uuid] {
        &[]
    }

    fn conflicts(&self) -> &[Conflict] {
        &[]
    }

    fn folded(&self, _: &Field<'_>) -> Vec<Json> {
        Vec::new()
    }
}

impl Particular for Merged {
    fn folded(&self, field: &Field<'_>) -> Vec<Json> {
        let one = |folded: &crate::records::write::merge::Folded| {
            object_of(field, &|name| match name {
                "recordId" => json!(folded.record),
                "relation" if folded.relation.is_empty() => Json::Null,
                "relation" => json!(folded.relation),
                "otherId" => json!(folded.other),
                _ => json!("FoldedLink"),
            })
        };
        self.folded.iter().map(one).collect()
    }
}

impl Particular for Undone {
    fn restored(&self) -> &[Uuid] {
        &self.restored
    }

    fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }
}

fn object_of(field: &Field<'_>, value: &dyn Fn(&str) -> Json) -> Json {
    Json::Object(collect(&field.children, |_| true).into_iter().map(|part| (part.key.to_owned(), value(part.name))).collect())
}

/// What went wrong that the caller can mend is told; the rest is an error of the field.
fn settled<T>(done: Result<T, Rejected>) -> Result<Result<T, Vec<UserError>>, Error> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(Rejected::User { errors, .. }) => Ok(Err(errors)),
        Err(Rejected::Failed(error)) => Err(error),
    }
}

fn choice((index, given): (usize, &Json)) -> Result<Choice, UserError> {
    let place = index.to_string();
    let refuse = |part: &[&str], message: &str| {
        let path: Vec<&str> = ["choices", place.as_str()].into_iter().chain(part.iter().copied()).collect();
        UserError::new(UserErrorCode::InvalidValue, &path, message)
    };
    let field = given["field"].as_str().unwrap_or_default().to_owned();
    let how = match (given["strategy"].as_str().and_then(MergeStrategy::parse), &given["from"]) {
        (Some(strategy), Json::Null) => How::By(strategy),
        (None, Json::String(id)) => How::From(Uuid::parse_str(id).map_err(|_| refuse(&["from"], "An id is a UUID."))?),
        _ => return Err(refuse(&[], "Give exactly one of `strategy` and `from`.")),
    };
    Ok(Choice { field, how })
}
