//! What is left of a text for somebody who may recognise it but not read it.

use crate::catalog::Kind;

/// `a***@example.com`, `***42`, `S***`.
pub fn mask(text: &str, kind: Kind) -> String {
    let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    match kind {
        Kind::Email => match text.rsplit_once('@') {
            Some((name, domain)) => format!("{}***@{domain}", first(name)),
            None => "***".into(),
        },
        Kind::Phone => {
            let tail: String = text.chars().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
            format!("***{tail}")
        }
        _ => format!("{}***", first(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_leaves_enough_to_recognise() {
        assert_eq!(mask("ada@example.com", Kind::Email), "a***@example.com");
        assert_eq!(mask("+41446681842", Kind::Phone), "***42");
        assert_eq!(mask("Secret", Kind::Text), "S***");
        assert_eq!(mask("", Kind::Text), "***");
    }
}
