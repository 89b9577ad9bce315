//! Every column of every record's table is known to the catalog, with a privacy class.

use kith::catalog::{Kind, Object, Privacy, Source, Via};
use kith::objects::standard_catalog;

/// Columns that the door keeps itself: tenancy, stamps, the document of custom fields.
const KEPT_BY_THE_DOOR: [&str; 7] = ["workspace_id", "id", "created_by_kind", "created_by", "updated_by_kind", "updated_by", "custom"];

/// Columns that tie a record to something that is no record.
const TIES: [(&str, &str); 1] = [("member", "user_id")];

fn known_columns(object: &Object) -> Vec<String> {
    let mut known: Vec<String> = KEPT_BY_THE_DOOR.iter().map(ToString::to_string).collect();
    for field in object.fields.values() {
        if let Source::Column(column) = &field.source {
            known.push(column.clone());
            known.extend(field.fold_column.clone());
            if field.kind == Kind::Money {
                known.push(format!("{column}_currency"));
            }
        }
    }
    for relation in object.relations.values() {
        if let Via::Column(column) = &relation.via {
            known.push(column.clone());
        }
    }
    known
}

#[test]
fn every_column_is_a_field_with_a_privacy_class() {
    for object in standard_catalog().objects() {
        let known = known_columns(object);
        for (column, _) in &object.columns {
            let tie = TIES.contains(&(object.name.as_str(), column.as_str()));
            assert!(tie || known.contains(column), "{}.{column} has no field, so no privacy class", object.table);
        }
    }
}

#[test]
fn what_says_something_about_people_is_classed_so() {
    let catalog = standard_catalog();
    let class = |object: &str, field: &str| catalog.object(object).fields[field].privacy;
    for field in ["firstName", "lastName", "emails", "phones", "address"] {
        assert_eq!(class("person", field), Privacy::Personal, "{field}");
    }
    assert_eq!(class("person", "birthday"), Privacy::Sensitive);
}

#[test]
fn every_field_and_relation_is_explained() {
    for object in standard_catalog().objects() {
        for field in object.fields.values() {
            assert!(!field.label.is_empty() && field.help.len() > 3, "{}.{}", object.name, field.name);
        }
        for relation in object.relations.values() {
            assert!(!relation.label.is_empty() && relation.help.len() > 3, "{}.{}", object.name, relation.name);
        }
    }
}
