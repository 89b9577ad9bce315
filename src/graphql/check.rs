//! What is looked at before a document is executed: its size, and whether a stranger may ask it.
//!
//! One pass, linear in the document: fragments are measured once each and remembered, so that a
//! chain of fragments which spread the next one twice costs nothing.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Value};

use crate::config::Limits;
use crate::error::{Code, Error, Result};

/// What anybody may ask.
const OPEN: [&str; 11] = [
    "__typename",
    "signInOptions",
    "signIn",
    "completeSignIn",
    "refreshSession",
    "signOut",
    "requestMagicLink",
    "requestPasswordReset",
    "resetPassword",
    "createWorkspace",
    "acceptInvitation",
];

/// The most root fields of a stranger's document.
const MOST_OF_STRANGERS: usize = 3;

/// Refuses a document that is too large, too deep, or not for strangers.
pub fn check(document: &ExecutableDocument, limits: &Limits, anonymous: bool) -> Result<()> {
    let mut measure = Measure { fragments: &document.fragments, known: HashMap::new() };
    // All operations, whichever is chosen: what follows walks all of them.
    for (_, found) in document.operations.iter() {
        let set = &found.node.selection_set.node;
        let size = measure.set(set)?;
        let introspection =
            set.items.iter().all(|item| matches!(&item.node, Selection::Field(field) if field.node.name.node.starts_with("__")));
        // The standard introspection query is 15 levels deep.
        let deepest = if introspection { limits.depth.max(20) } else { limits.depth };
        if size.depth > deepest {
            return Err(Error::bad_request(format!("The document is {} levels deep; {deepest} are allowed.", size.depth)));
        }
        if size.nodes > limits.nodes {
            return Err(Error::bad_request(format!(
                "The document selects more than {} fields, fragments counted wherever they are spread.",
                limits.nodes
            )));
        }
        if anonymous {
            only_open(set, &document.fragments, 0)?;
            // Each may cost the hash of a password.
            if size.roots > MOST_OF_STRANGERS {
                return Err(Error::bad_request(format!(
                    "A document of somebody who is not signed in has at most {MOST_OF_STRANGERS} root fields."
                )));
            }
        }
    }
    Ok(())
}

/// Whether a document asks about the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Introspection {
    None,
    /// And for nothing else.
    Only,
    Mixed,
}

/// Whether any operation of a document, which was checked, asks about the schema.
pub fn introspection(document: &ExecutableDocument) -> Introspection {
    let (mut schema, mut data) = (false, false);
    let mut sets: Vec<&SelectionSet> = document.operations.iter().map(|(_, found)| &found.node.selection_set.node).collect();
    let mut spread: Vec<&str> = Vec::new();
    while let Some(set) = sets.pop() {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => match field.node.name.node.as_str() {
                    "__schema" | "__type" => schema = true,
                    "__typename" => {}
                    _ => data = true,
                },
                Selection::InlineFragment(fragment) => sets.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(of) => {
                    let name = of.node.fragment_name.node.as_str();
                    if let Some(fragment) = document.fragments.get(name).filter(|_| !spread.contains(&name)) {
                        spread.push(name);
                        sets.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    match (schema, data) {
        (false, _) => Introspection::None,
        (true, false) => Introspection::Only,
        (true, true) => Introspection::Mixed,
    }
}

/// The deepest nesting of braces, brackets and parentheses in a document.
const DEEPEST_TEXT: usize = 100;

/// Refuses a text that nests so deeply that reading it would exhaust the stack, or that has a
/// character which cannot be stored. One pass over the bytes, before anything else looks at them.
pub fn check_text(document: &str) -> Result<()> {
    let (mut depth, mut quoted, mut comment) = (0_usize, false, false);
    let mut bytes = document.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' | b'\r' => comment = false,
            _ if comment => {}
            b'"' => quoted = !quoted,
            b'\\' if quoted => drop(bytes.next()),
            b'#' if !quoted => comment = true,
            b'{' | b'[' | b'(' if !quoted => depth += 1,
            b'}' | b']' | b')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST_TEXT {
            return Err(Error::bad_request(format!("The document nests more than {DEEPEST_TEXT} levels deep.")));
        }
    }
    if document.contains('\0') || document.contains("\\u0000") {
        return Err(no_nul());
    }
    Ok(())
}

/// The same of a variable's value.
pub fn check_value(value: &Value) -> Result<()> {
    match value {
        Value::String(text) if text.contains('\0') => Err(no_nul()),
        Value::List(items) => items.iter().try_for_each(check_value),
        Value::Object(members) => members.values().try_for_each(check_value),
        _ => Ok(()),
    }
}

fn no_nul() -> Error {
    Error::bad_request("The character U+0000 cannot be stored; take it out of the text.")
}

fn only_open(set: &SelectionSet, fragments: &HashMap<Name, Positioned<FragmentDefinition>>, depth: usize) -> Result<()> {
    for item in &set.items {
        match &item.node {
            Selection::Field(field) if OPEN.contains(&field.node.name.node.as_str()) => {}
            Selection::Field(_) => {
                return Err(Error::refuse(
                    Code::Unauthenticated,
                    "Sign in first (mutation signIn), and send the access token or an API key as `Authorization: Bearer <token>`.",
                ));
            }
            Selection::InlineFragment(fragment) => only_open(&fragment.node.selection_set.node, fragments, depth + 1)?,
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node)
                    && depth < fragments.len() + 1
                {
                    only_open(&fragment.node.selection_set.node, fragments, depth + 1)?;
                }
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Size {
    depth: usize,
    nodes: usize,
    /// Fields of the set itself.
    roots: usize,
}

struct Measure<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// None while a fragment is being measured: meeting it again is a cycle.
    known: HashMap<&'a str, Option<Size>>,
}

impl<'a> Measure<'a> {
    fn set(&mut self, set: &'a SelectionSet) -> Result<Size> {
        let mut whole = Size::default();
        for item in &set.items {
            let part = match &item.node {
                Selection::Field(field) => {
                    let below = self.set(&field.node.selection_set.node)?;
                    Size { depth: below.depth + 1, nodes: below.nodes.saturating_add(1), roots: 1 }
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.fragment(spread.node.fragment_name.node.as_str())?,
            };
            whole.depth = whole.depth.max(part.depth);
            whole.nodes = whole.nodes.saturating_add(part.nodes);
            whole.roots = whole.roots.saturating_add(part.roots);
        }
        Ok(whole)
    }

    fn fragment(&mut self, name: &str) -> Result<Size> {
        // An unknown fragment is told by validation.
        let Some((name, fragment)) = self.fragments.get_key_value(name) else { return Ok(Size::default()) };
        match self.known.get(name.as_str()) {
            Some(Some(size)) => Ok(*size),
            Some(None) => Err(Error::bad_request(format!("The fragment `{name}` contains itself."))),
            None => {
                self.known.insert(name.as_str(), None);
                let size = self.set(&fragment.node.selection_set.node)?;
                self.known.insert(name.as_str(), Some(size));
                Ok(size)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn limits() -> Limits {
        crate::config::Config::load(None, |_| None).unwrap().limits
    }

    fn checked(document: &str, anonymous: bool) -> Result<()> {
        check(&async_graphql::parser::parse_query(document).unwrap(), &limits(), anonymous)
    }

    #[test]
    fn a_chain_of_doubling_fragments_is_refused_at_once() {
        let mut document = String::from("{ ...f0 }");
        for n in 0..31 {
            let _ = write!(document, " fragment f{n} on Query {{ ...f{0} ...f{0} }}", n + 1);
        }
        document.push_str(" fragment f31 on Query { __typename }");
        assert!(checked(&document, false).is_err());
    }

    #[test]
    fn deep_text_is_refused_before_it_is_read() {
        let deep = |n: usize| format!("{{ a(b: {}1{}) }}", "[".repeat(n), "]".repeat(n));
        assert!(check_text(&deep(50)).is_ok());
        assert!(check_text(&deep(400)).is_err());
        assert!(check_text(&format!("{{ a(b: \"{}\") }} # {}", "[".repeat(400), "[".repeat(400))).is_ok());
        assert!(check_text("{ a(b: \"\\u0000\") }").is_err());
    }

    #[test]
    fn a_fragment_that_contains_itself_is_refused() {
        assert!(checked("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }", false).is_err());
    }

    #[test]
    fn strangers_may_sign_in_and_nothing_else() {
        assert!(checked("{ __typename }", true).is_ok());
        assert!(checked("mutation { signIn(input: {}) { userErrors { code } } }", true).is_ok());
        assert!(checked("{ __schema { types { name } } }", true).is_err());
        assert!(checked("{ ...a } fragment a on Query { deals { totalCount } }", true).is_err());
    }
}
