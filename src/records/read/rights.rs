//! `viewerAccess`: what the caller may do with a record.

use super::node::{Planner, Scope};
use super::shape::Out;
use crate::catalog::{Kind, Object, Store};
use crate::platform::access::Sight;
use crate::records::access::{self, Verb};
use crate::records::selection::{Merged, collect};

impl Planner<'_> {
    pub(super) fn rights(&mut self, scope: &mut Scope, alias: &str, object: &Object, merged: &Merged<'_>) -> Out {
        let policy = self.ctx.access.object(&object.name);
        let (hidden, masked, locked) = (Sight::Hidden, Sight::Masked, false);
        let mut fields = Vec::new();
        for part in collect(&merged.children, |_| true) {
            let named = |wanted: &dyn Fn(Sight, bool) -> bool| {
                let names: Vec<&String> =
                    policy.fields.iter().filter(|(_, access)| wanted(access.sight, access.write)).map(|(name, _)| name).collect();
                Out::Literal(serde_json::to_string(&names).unwrap_or_else(|_| "[]".into()))
            };
            let out = match part.name {
                "canRead" => Out::Literal("true".into()),
                "canUpdate" => self.right(scope, alias, object, Verb::Update),
                "canDelete" => self.right(scope, alias, object, Verb::Delete),
                "hidden" => named(&|sight, _| sight == hidden),
                "masked" => named(&|sight, _| sight == masked),
                "readOnly" => named(&|_, write| write == locked),
                _ => Out::Literal("\"RecordAccess\"".into()),
            };
            fields.push((part.key.to_owned(), out));
        }
        Out::Inline(fields)
    }

    fn right(&mut self, scope: &mut Scope, alias: &str, object: &Object, verb: Verb) -> Out {
        // What may be done is judged by the record as it is.
        let today = if self.as_of.is_some() { self.sql.alias() } else { alias.to_owned() };
        match access::reached(&mut self.sql, self.ctx, self.catalog, object, &today, verb) {
            None => Out::Literal("true".into()),
            Some(condition) => {
                let condition = if self.as_of.is_some() {
                    let row = format!("{today}.workspace_id = $1 AND {today}.id = {alias}.id");
                    format!("EXISTS (SELECT 1 FROM {} {today} WHERE {row} AND {condition})", object.rows())
                } else {
                    condition
                };
                let slot = scope.slot(format!("coalesce(({condition}), FALSE)"), Store::Bool);
                Out::Scalar { slot, kind: Kind::Boolean }
            }
        }
    }
}
