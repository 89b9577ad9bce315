//! Types as the registry writes them: `[ID!]!`.

use async_graphql::parser::types::{BaseType, Type};
use async_graphql::registry::{MetaField, MetaType, Registry};

/// A type as the registry writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ty<'a>(pub &'a str);

impl<'a> Ty<'a> {
    /// The type without its exclamation mark, and whether it had one.
    pub fn nullable(self) -> (Self, bool) {
        self.0.strip_suffix('!').map_or((self, false), |inner| (Self(inner), true))
    }

    /// What a list is of; the type must be nullable.
    pub fn item(self) -> Option<Self> {
        self.0.strip_prefix('[')?.strip_suffix(']').map(Self)
    }

    /// The name inside all lists.
    pub fn name(self) -> &'a str {
        self.0.trim_matches(['[', ']', '!'])
    }

    /// Whether a value of this type may stand where one of `other` is wanted.
    pub fn fits(self, other: Self) -> bool {
        let ((a, a_is_there), (b, b_is_there)) = (self.nullable(), other.nullable());
        if b_is_there && !a_is_there {
            return false;
        }
        match (a.item(), b.item()) {
            (Some(a), Some(b)) => a.fits(b),
            (None, None) => a == b,
            _ => false,
        }
    }
}

/// A type of a document, as the registry would write it.
pub fn written(ty: &Type) -> String {
    let base = match &ty.base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(item) => format!("[{}]", written(item)),
    };
    if ty.nullable { base } else { format!("{base}!") }
}

pub fn is_input(ty: &MetaType) -> bool {
    matches!(ty, MetaType::Scalar { .. } | MetaType::Enum { .. } | MetaType::InputObject { .. })
}

pub fn is_composite(ty: &MetaType) -> bool {
    matches!(ty, MetaType::Object { .. } | MetaType::Interface { .. } | MetaType::Union { .. })
}

pub fn is_object(registry: &Registry, name: &str) -> bool {
    matches!(registry.types.get(name), Some(MetaType::Object { .. }))
}

/// A field of a type.
pub fn field<'r>(registry: &'r Registry, ty: &str, name: &str) -> Option<&'r MetaField> {
    match registry.types.get(ty)? {
        MetaType::Object { fields, .. } | MetaType::Interface { fields, .. } => fields.get(name),
        _ => None,
    }
}

/// Whether some object is of both types.
pub fn overlap(registry: &Registry, a: &str, b: &str) -> bool {
    let of = |name: &str| match registry.types.get(name) {
        Some(MetaType::Interface { possible_types, .. } | MetaType::Union { possible_types, .. }) => Some(possible_types),
        _ => None,
    };
    a == b
        || match (of(a), of(b)) {
            (None, None) => false,
            (Some(types), None) => types.contains(b),
            (None, Some(types)) => types.contains(a),
            (Some(a), Some(b)) => a.iter().any(|ty| b.contains(ty)),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrower_type_fits_a_wider_one() {
        let fits = |a, b| Ty(a).fits(Ty(b));
        assert!(fits("ID!", "ID") && fits("[ID!]!", "[ID]") && fits("ID", "ID"));
        assert!(!fits("ID", "ID!") && !fits("[ID]", "[ID!]") && !fits("ID", "[ID]") && !fits("Int", "ID"));
    }
}
