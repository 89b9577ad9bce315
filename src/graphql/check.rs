//! What is looked at before a document is executed: its size, and whether a stranger may ask it.
//!
//! One pass, linear in the document: fragments are measured once each and remembered, so that a
//! chain of fragments which spread the next one twice costs nothing.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, FragmentDefinition, OperationType, Selection, SelectionSet};
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

/// Refuses a document that is too large or too deep. What an application registered is looked at when it is registered,
/// and may then have any number of aliases, fragments and directives.
pub fn check(document: &ExecutableDocument, limits: &Limits, trusted: bool) -> Result<()> {
    if !trusted {
        Texture::of(document).check(limits)?;
    }
    let mut measure = Measure { fragments: &document.fragments, known: HashMap::new() };
    // All operations, whichever is chosen: what follows walks all of them.
    for (_, found) in document.operations.iter() {
        let set = &found.node.selection_set.node;
        let size = measure.set(set)?;
        let introspection =
            set.items.iter().all(|item| matches!(&item.node, Selection::Field(field) if field.node.name.node.starts_with("__")));
        // The standard introspection query is 15 levels deep.
        let deepest = if introspection { limits.depth.max(DEEPEST_INTROSPECTION) } else { limits.depth };
        at_most("levels of selection", size.depth, deepest)?;
        at_most("fields, fragments counted wherever they are spread", size.nodes, limits.nodes)?;
        at_most("lists of the schema within each other", size.lists, MOST_SCHEMA_LISTS)?;
        at_most("root fields", size.roots, limits.root_fields)?;
        if found.node.ty == OperationType::Mutation {
            at_most("root fields of a mutation", size.roots, limits.mutations)?;
        }
    }
    Ok(())
}

/// Levels of a document that asks about the schema.
const DEEPEST_INTROSPECTION: usize = 20;
/// How often such a document goes on from the fields of a type to those of theirs: a schema is a graph, which could be
/// walked for ever.
const MOST_SCHEMA_LISTS: usize = 2;
const SCHEMA_LISTS: [&str; 4] = ["fields", "interfaces", "possibleTypes", "inputFields"];

fn at_most(what: &str, found: usize, most: usize) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    Err(Error::bad_request(format!("The document has {found} {what}; {most} are allowed.")))
}

/// Refuses what only those who are signed in may ask.
pub fn check_stranger(document: &ExecutableDocument) -> Result<()> {
    for (_, found) in document.operations.iter() {
        let set = &found.node.selection_set.node;
        let roots = only_open(set, &document.fragments, 0)?;
        // Each may cost the hash of a password.
        if roots > MOST_OF_STRANGERS {
            return Err(Error::bad_request(format!(
                "A document of somebody who is not signed in has at most {MOST_OF_STRANGERS} root fields."
            )));
        }
    }
    Ok(())
}

/// What a document has many of when somebody wants to overload a server.
#[derive(Default)]
struct Texture {
    aliases: usize,
    directives: usize,
    fragments: usize,
}

impl Texture {
    fn of(document: &ExecutableDocument) -> Self {
        let mut texture = Self { fragments: document.fragments.len(), ..Self::default() };
        for (_, operation) in document.operations.iter() {
            let variables = operation.node.variable_definitions.iter().map(|variable| variable.node.directives.len());
            texture.directives += operation.node.directives.len() + variables.sum::<usize>();
            texture.add(&operation.node.selection_set.node);
        }
        for fragment in document.fragments.values() {
            texture.directives += fragment.node.directives.len();
            texture.add(&fragment.node.selection_set.node);
        }
        texture
    }

    fn add(&mut self, set: &SelectionSet) {
        for item in &set.items {
            self.directives += item.node.directives().len();
            match &item.node {
                Selection::Field(field) => {
                    self.aliases += usize::from(field.node.alias.is_some());
                    self.add(&field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => self.add(&fragment.node.selection_set.node),
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn check(&self, limits: &Limits) -> Result<()> {
        at_most("aliases", self.aliases, limits.aliases)?;
        at_most("directives", self.directives, limits.directives)?;
        at_most("fragments", self.fragments, limits.fragments)
    }
}

/// Refuses a text that has a character which cannot be stored.
pub fn check_text(document: &str) -> Result<()> {
    if document.contains('\0') || document.contains("\\u0000") || document.contains("\\u{0") && has_nul_escape(document) {
        return Err(no_nul());
    }
    Ok(())
}

fn has_nul_escape(document: &str) -> bool {
    document.split("\\u{").skip(1).filter_map(|rest| rest.split_once('}')).any(|(digits, _)| digits.bytes().all(|digit| digit == b'0'))
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

/// How many root fields there are, if all are open to anybody.
fn only_open(set: &SelectionSet, fragments: &HashMap<Name, Positioned<FragmentDefinition>>, depth: usize) -> Result<usize> {
    let mut roots = 0;
    for item in &set.items {
        roots += match &item.node {
            Selection::Field(field) if OPEN.contains(&field.node.name.node.as_str()) => 1,
            Selection::Field(field) if field.node.name.node == "__type" && is_flat(&field.node.selection_set.node) => 1,
            Selection::Field(_) => {
                return Err(Error::refuse(
                    Code::Unauthenticated,
                    "Sign in first (mutation signIn), and send the access token or an API key as `Authorization: Bearer <token>`.",
                ));
            }
            Selection::InlineFragment(fragment) => only_open(&fragment.node.selection_set.node, fragments, depth + 1)?,
            Selection::FragmentSpread(spread) => match fragments.get(&spread.node.fragment_name.node) {
                Some(fragment) if depth <= fragments.len() => only_open(&fragment.node.selection_set.node, fragments, depth + 1)?,
                _ => 0,
            },
        };
    }
    Ok(roots)
}

/// Whether nothing lies below the fields of a selection: what a stranger may know of a type of a brand-new workspace is that
/// it is there.
fn is_flat(set: &SelectionSet) -> bool {
    set.items.iter().all(|item| matches!(&item.node, Selection::Field(field) if field.node.selection_set.node.items.is_empty()))
}

#[derive(Clone, Copy, Default)]
struct Size {
    depth: usize,
    nodes: usize,
    /// Fields of the set itself.
    roots: usize,
    /// Lists of the schema, each within the one before.
    lists: usize,
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
                    let lists = below.lists + usize::from(SCHEMA_LISTS.contains(&field.node.name.node.as_str()));
                    Size { depth: below.depth + 1, nodes: below.nodes.saturating_add(1), roots: 1, lists }
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.fragment(spread.node.fragment_name.node.as_str())?,
            };
            whole.depth = whole.depth.max(part.depth);
            whole.nodes = whole.nodes.saturating_add(part.nodes);
            whole.roots = whole.roots.saturating_add(part.roots);
            whole.lists = whole.lists.max(part.lists);
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

    fn parsed(document: &str) -> ExecutableDocument {
        crate::graphql::parse::parse(document, 100_000).unwrap()
    }

    fn checked(document: &str) -> Result<()> {
        check(&parsed(document), &limits(), false)
    }

    #[test]
    fn a_chain_of_doubling_fragments_is_refused_at_once() {
        let mut document = String::from("{ ...f0 }");
        for n in 0..31 {
            let _ = write!(document, " fragment f{n} on Query {{ ...f{0} ...f{0} }}", n + 1);
        }
        document.push_str(" fragment f31 on Query { __typename }");
        assert!(checked(&document).is_err());
    }

    #[test]
    fn what_cannot_be_stored_is_refused_however_it_is_written() {
        for text in ["\0", "\\u0000", "\\u{0}", "\\u{000}"] {
            assert!(check_text(&format!("{{ a(b: \"{text}\") }}")).is_err(), "{text}");
        }
        assert!(check_text("{ a(b: \"\\u{0041}\") }").is_ok());
    }

    #[test]
    fn a_fragment_that_contains_itself_is_refused() {
        assert!(checked("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }").is_err());
    }

    #[test]
    fn a_document_has_so_many_of_everything() {
        let many = |n: usize, part: &str| (0..n).map(|i| part.replace('#', &i.to_string())).collect::<String>();
        assert!(checked(&format!("{{ a {{ {} }} }}", many(30, "a#: b "))).is_ok());
        assert!(checked(&format!("{{ a {{ {} }} }}", many(31, "a#: b "))).is_err());
        assert!(checked(&format!("{{ a {} }}", many(21, "@x "))).is_err());
        assert!(checked(&format!("{{ {} }}", many(21, "a# "))).is_err());
        assert!(checked(&format!("mutation {{ {} }}", many(11, "a# "))).is_err());
        assert!(checked(&format!("{{ a }} {}", many(51, "fragment f# on Q { a } "))).is_err());
        let registered = parsed(&format!("{{ a {{ {} }} }}", many(31, "a#: b ")));
        assert!(check(&registered, &limits(), true).is_ok());
    }

    #[test]
    fn the_schema_is_not_walked_in_circles() {
        assert!(checked("{ __schema { types { fields { type { name ofType { name ofType { name } } } } } } }").is_ok());
        assert!(checked("{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }").is_err());
    }

    #[test]
    fn strangers_may_sign_in_and_nothing_else() {
        let stranger = |document: &str| check_stranger(&parsed(document));
        assert!(stranger("{ __typename }").is_ok());
        assert!(stranger("mutation { signIn(input: {}) { userErrors { code } } }").is_ok());
        assert!(stranger("{ __type(name: \"Deal\") { name } }").is_ok());
        assert!(stranger("{ __type(name: \"Deal\") { name fields { name } } }").is_err());
        assert!(stranger("{ __schema { types { name } } }").is_err());
        assert!(stranger("{ ...a } fragment a on Query { deals { totalCount } }").is_err());
        assert!(stranger("{ a: __typename b: __typename c: __typename d: __typename }").is_err());
    }
}
