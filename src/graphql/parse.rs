//! From a document's text to what async-graphql executes.
//!
//! The text is read by a parser that follows the specification of September 2025; async-graphql's own misses
//! `\u{…}`, surrogate pairs, descriptions of operations and directives of variables, and tells the text back in its
//! errors. Reading is linear: the parser stops at its limits.

use std::collections::HashMap;

use apollo_parser::cst::{self, CstNode as _};
use apollo_parser::{Parser, SyntaxNode};
use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread, InlineFragment,
    OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition, VariableDefinition,
};
use async_graphql::{Name, Pos, Positioned, ServerError};
use async_graphql_value::Value;
use async_graphql_value::indexmap::IndexMap;

/// The deepest nesting of braces and brackets in a text: reading it must not exhaust the stack.
const DEEPEST: usize = 100;

/// Why a text is no document.
type Wrong = Box<ServerError>;
type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;

/// Reads a document of at most so many tokens.
pub fn parse(text: &str, most_tokens: usize) -> Result<ExecutableDocument, Wrong> {
    let text = without_descriptions(text);
    let lines = Lines::new(&text);
    // The parser counts white space and commas as well; half the tokens of a text that people wrote are such.
    let tree = Parser::new(&text).recursion_limit(DEEPEST).token_limit(most_tokens.saturating_mul(2)).parse();
    if let Some(error) = tree.errors().next() {
        let at = lines.at(error.index());
        return Err(match (error.is_limit(), tree.recursion_limit().high > DEEPEST) {
            (true, true) => wrong(format!("The document nests more than {DEEPEST} levels deep."), at),
            (true, false) => wrong(format!("The document has more than {most_tokens} tokens."), at),
            _ => wrong(format!("Syntax error: {}.", bounded(error.message().trim_end_matches('.'))), at),
        });
    }
    Reader { lines }.document(&tree.document())
}

fn wrong(message: impl Into<String>, at: Pos) -> Wrong {
    Box::new(ServerError::new(message, Some(at)))
}

/// As much of a parser's words as is told.
fn bounded(message: &str) -> String {
    message.chars().take(120).collect()
}

/// The text with spaces where an operation or a fragment is described, which the parser does not know yet.
fn without_descriptions(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.trim_start_matches(is_ignored).starts_with('"') && !text.contains("}\"") && !text.contains("\"\"\"") {
        return text.into();
    }
    let mut bytes = text.as_bytes().to_vec();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at = end_of_line(&bytes, at),
            b'"' => {
                let end = end_of_string(&bytes, at);
                let named = text.get(end..).is_some_and(|rest| {
                    let rest = rest.trim_start_matches(is_ignored);
                    ["query", "mutation", "subscription", "fragment"].iter().any(|word| rest.starts_with(word))
                });
                if depth == 0 && named {
                    bytes[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
                }
                at = end;
            }
            byte => {
                match byte {
                    b'{' | b'(' | b'[' => depth += 1,
                    b'}' | b')' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                at += 1;
            }
        }
    }
    String::from_utf8(bytes).map_or(text.into(), Into::into)
}

fn is_ignored(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | ',' | '\u{feff}')
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |length| from + length)
}

/// Where a string ends that begins there.
fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let block = bytes[from..].starts_with(b"\"\"\"");
    let mut at = from + if block { 3 } else { 1 };
    while at < bytes.len() {
        match (block, bytes[at]) {
            (true, b'\\') if bytes[at..].starts_with(b"\\\"\"\"") => at += 4,
            (true, b'"') if bytes[at..].starts_with(b"\"\"\"") => return at + 3,
            (false, b'\\') => at += 2,
            (false, b'"') => return at + 1,
            (false, b'\n' | b'\r') => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Lines and columns of a text.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        Self { text, starts: starts.collect() }
    }

    fn at(&self, offset: usize) -> Pos {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        // A hostile line is long; its columns are told in bytes.
        let column = match offset.checked_sub(start) {
            Some(length) if length < 1_000 => self.text.get(start..offset).map_or(length, |before| before.chars().count()),
            length => length.unwrap_or(0),
        };
        Pos { line, column: column + 1 }
    }
}

struct Reader<'a> {
    lines: Lines<'a>,
}

impl Reader<'_> {
    fn document(&self, document: &cst::Document) -> Result<ExecutableDocument, Wrong> {
        let mut operations: Vec<(Option<Name>, Positioned<OperationDefinition>)> = Vec::new();
        let mut fragments = HashMap::new();
        for definition in document.definitions() {
            let at = self.pos(definition.syntax());
            match definition {
                cst::Definition::OperationDefinition(found) => {
                    let name = found.name().map(|name| name_of(&name));
                    if name.is_some() && operations.iter().any(|(known, _)| *known == name) {
                        return Err(wrong("Two operations have the same name.", at));
                    }
                    operations.push((name, Positioned::new(self.operation(&found)?, at)));
                }
                cst::Definition::FragmentDefinition(found) => {
                    let name = found.fragment_name().and_then(|name| name.name());
                    let name = name.ok_or_else(|| wrong("Syntax error: a fragment has a name.", at))?;
                    if fragments.insert(name_of(&name), Positioned::new(self.fragment(&found)?, at)).is_some() {
                        return Err(wrong("Two fragments have the same name.", at));
                    }
                }
                _ => return Err(wrong("A document that is executed defines operations and fragments, and no types.", at)),
            }
        }
        let operations = match operations.len() {
            0 => return Err(wrong("The document has no operation.", Pos { line: 1, column: 1 })),
            1 if operations[0].0.is_none() => DocumentOperations::Single(operations.remove(0).1),
            _ => {
                let named: Option<HashMap<Name, Positioned<OperationDefinition>>> =
                    operations.into_iter().map(|(name, operation)| Some((name?, operation))).collect();
                let alone = "An operation without a name stands alone in its document.";
                DocumentOperations::Multiple(named.ok_or_else(|| wrong(alone, Pos { line: 1, column: 1 }))?)
            }
        };
        Ok(ExecutableDocument { operations, fragments })
    }

    fn operation(&self, found: &cst::OperationDefinition) -> Result<OperationDefinition, Wrong> {
        let ty = match found.operation_type() {
            Some(ty) if ty.mutation_token().is_some() => OperationType::Mutation,
            Some(ty) if ty.subscription_token().is_some() => OperationType::Subscription,
            _ => OperationType::Query,
        };
        let variables = found.variable_definitions();
        let variables = variables.iter().flat_map(cst::VariableDefinitions::variable_definitions);
        let mut seen = Vec::new();
        let mut variable_definitions = Vec::new();
        for variable in variables {
            let at = self.pos(variable.syntax());
            let variable = self.variable(&variable, at)?;
            if seen.contains(&variable.name.node) {
                return Err(wrong(format!("The variable `${}` is defined twice.", variable.name.node), at));
            }
            seen.push(variable.name.node.clone());
            variable_definitions.push(Positioned::new(variable, at));
        }
        Ok(OperationDefinition {
            ty,
            variable_definitions,
            directives: self.directives(found.directives())?,
            selection_set: self.selections(found.selection_set())?,
        })
    }

    fn variable(&self, found: &cst::VariableDefinition, at: Pos) -> Result<VariableDefinition, Wrong> {
        let incomplete = || wrong("Syntax error: a variable has a name and a type.", at);
        let name = found.variable().and_then(|variable| variable.name()).ok_or_else(incomplete)?;
        let var_type = found.ty().as_ref().and_then(type_of).ok_or_else(incomplete)?;
        let default_value = found.default_value().and_then(|default| default.value());
        let default_value = default_value.map(|value| -> Result<_, Wrong> {
            let at = self.pos(value.syntax());
            let value = self.value(&value)?.into_const();
            Ok(Positioned::new(value.ok_or_else(|| wrong("Syntax error: the default of a variable is no variable.", at))?, at))
        });
        Ok(VariableDefinition {
            name: Positioned::new(name_of(&name), self.pos(name.syntax())),
            var_type: Positioned::new(var_type, at),
            // What the schema knows of directives has none for variables.
            directives: self.directives(found.directives())?,
            default_value: default_value.transpose()?,
        })
    }

    fn fragment(&self, found: &cst::FragmentDefinition) -> Result<FragmentDefinition, Wrong> {
        let at = self.pos(found.syntax());
        let type_condition = found.type_condition().and_then(|condition| self.condition(&condition));
        Ok(FragmentDefinition {
            type_condition: type_condition.ok_or_else(|| wrong("Syntax error: a fragment says on which type it is.", at))?,
            directives: self.directives(found.directives())?,
            selection_set: self.selections(found.selection_set())?,
        })
    }

    fn condition(&self, found: &cst::TypeCondition) -> Option<Positioned<TypeCondition>> {
        let name = found.named_type()?.name()?;
        let at = self.pos(name.syntax());
        Some(Positioned::new(TypeCondition { on: Positioned::new(name_of(&name), at) }, at))
    }

    fn selections(&self, found: Option<cst::SelectionSet>) -> Result<Positioned<SelectionSet>, Wrong> {
        let Some(found) = found else { return Ok(Positioned::default()) };
        let at = self.pos(found.syntax());
        let mut items = Vec::new();
        for selection in found.selections() {
            let at = self.pos(selection.syntax());
            let selection = match selection {
                cst::Selection::Field(field) => Selection::Field(Positioned::new(self.field(&field, at)?, at)),
                cst::Selection::FragmentSpread(spread) => {
                    let name = spread.fragment_name().and_then(|name| name.name());
                    let name = name.ok_or_else(|| wrong("Syntax error: a fragment that is spread has a name.", at))?;
                    let fragment_name = Positioned::new(name_of(&name), self.pos(name.syntax()));
                    Selection::FragmentSpread(Positioned::new(
                        FragmentSpread { fragment_name, directives: self.directives(spread.directives())? },
                        at,
                    ))
                }
                cst::Selection::InlineFragment(fragment) => {
                    let type_condition = fragment.type_condition().and_then(|condition| self.condition(&condition));
                    let (directives, selection_set) = (self.directives(fragment.directives())?, self.selections(fragment.selection_set())?);
                    Selection::InlineFragment(Positioned::new(InlineFragment { type_condition, directives, selection_set }, at))
                }
            };
            items.push(Positioned::new(selection, at));
        }
        Ok(Positioned::new(SelectionSet { items }, at))
    }

    fn field(&self, found: &cst::Field, at: Pos) -> Result<Field, Wrong> {
        let name = found.name().ok_or_else(|| wrong("Syntax error: a field has a name.", at))?;
        let alias = found.alias().and_then(|alias| alias.name());
        Ok(Field {
            alias: alias.map(|alias| Positioned::new(name_of(&alias), at)),
            name: Positioned::new(name_of(&name), self.pos(name.syntax())),
            arguments: self.arguments(found.arguments())?,
            directives: self.directives(found.directives())?,
            selection_set: self.selections(found.selection_set())?,
        })
    }

    fn directives(&self, found: Option<cst::Directives>) -> Result<Vec<Positioned<Directive>>, Wrong> {
        let mut directives = Vec::new();
        for directive in found.iter().flat_map(cst::Directives::directives) {
            let at = self.pos(directive.syntax());
            let name = directive.name().ok_or_else(|| wrong("Syntax error: a directive has a name.", at))?;
            let name = Positioned::new(name_of(&name), self.pos(name.syntax()));
            directives.push(Positioned::new(Directive { name, arguments: self.arguments(directive.arguments())? }, at));
        }
        Ok(directives)
    }

    fn arguments(&self, found: Option<cst::Arguments>) -> Result<Arguments, Wrong> {
        let mut arguments = Arguments::new();
        for argument in found.iter().flat_map(cst::Arguments::arguments) {
            let at = self.pos(argument.syntax());
            let (Some(name), Some(value)) = (argument.name(), argument.value()) else {
                return Err(wrong("Syntax error: an argument has a name and a value.", at));
            };
            let (value_at, name) = (self.pos(value.syntax()), name_of(&name));
            if arguments.iter().any(|(known, _)| known.node == name) {
                return Err(wrong(format!("The argument `{}` is given twice.", bounded(&name)), at));
            }
            arguments.push((Positioned::new(name, at), Positioned::new(self.value(&value)?, value_at)));
        }
        Ok(arguments)
    }

    fn value(&self, found: &cst::Value) -> Result<Value, Wrong> {
        let at = || self.pos(found.syntax());
        Ok(match found {
            cst::Value::Variable(variable) => {
                let name = variable.name().ok_or_else(|| wrong("Syntax error: a variable has a name.", at()))?;
                Value::Variable(name_of(&name))
            }
            cst::Value::StringValue(text) => Value::String(text.into()),
            cst::Value::IntValue(number) => Value::Number(number_of(number.syntax()).ok_or_else(|| wrong(NO_NUMBER, at()))?),
            cst::Value::FloatValue(number) => Value::Number(number_of(number.syntax()).ok_or_else(|| wrong(NO_NUMBER, at()))?),
            cst::Value::BooleanValue(value) => Value::Boolean(value.true_token().is_some()),
            cst::Value::NullValue(_) => Value::Null,
            cst::Value::EnumValue(value) => {
                let name = value.name().ok_or_else(|| wrong("Syntax error: expected a value.", at()))?;
                Value::Enum(name_of(&name))
            }
            cst::Value::ListValue(list) => Value::List(list.values().map(|item| self.value(&item)).collect::<Result<_, _>>()?),
            cst::Value::ObjectValue(object) => {
                let mut members = IndexMap::new();
                for member in object.object_fields() {
                    let at = self.pos(member.syntax());
                    let (Some(name), Some(value)) = (member.name(), member.value()) else {
                        return Err(wrong("Syntax error: a member of an input has a name and a value.", at));
                    };
                    let name = name_of(&name);
                    if members.contains_key(&name) {
                        return Err(wrong(format!("The member `{}` is given twice.", bounded(&name)), at));
                    }
                    members.insert(name, self.value(&value)?);
                }
                Value::Object(members)
            }
        })
    }

    fn pos(&self, node: &SyntaxNode) -> Pos {
        self.lines.at(node.text_range().start().into())
    }
}

const NO_NUMBER: &str = "The number is too large.";

fn name_of(name: &cst::Name) -> Name {
    Name::new(name.text().as_str())
}

fn number_of(node: &SyntaxNode) -> Option<serde_json::Number> {
    let text = node.text().to_string();
    let text = text.trim_matches(is_ignored);
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    text.parse::<u64>().ok().map(Into::into).or_else(|| serde_json::Number::from_f64(text.parse().ok()?))
}

fn type_of(found: &cst::Type) -> Option<Type> {
    Some(match found {
        cst::Type::NamedType(named) => Type { base: BaseType::Named(name_of(&named.name()?)), nullable: true },
        cst::Type::ListType(list) => Type { base: BaseType::List(Box::new(type_of(&list.ty()?)?)), nullable: true },
        cst::Type::NonNullType(inner) => match (inner.named_type(), inner.list_type()) {
            (Some(named), _) => Type { base: BaseType::Named(name_of(&named.name()?)), nullable: false },
            (None, Some(list)) => Type { base: BaseType::List(Box::new(type_of(&list.ty()?)?)), nullable: false },
            (None, None) => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string_of(document: &str) -> String {
        let document = parse(document, 2_000).unwrap();
        let DocumentOperations::Single(operation) = document.operations else { panic!("one operation") };
        let Selection::Field(field) = operation.node.selection_set.node.items[0].node.clone() else { panic!("a field") };
        match &field.node.arguments[0].1.node {
            Value::String(text) => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn strings_are_what_the_specification_says() {
        assert_eq!(string_of(r#"{ a(b: "\u{1F600} \uD83D\uDE00 \u00e9 \"x\"") }"#), "\u{1F600} \u{1F600} \u{e9} \"x\"");
        assert_eq!(string_of("{ a(b: \"\"\"\n    two\n      lines \\\"\"\"\n  \"\"\") }"), "two\n  lines \"\"\"");
        assert!(parse(r#"{ a(b: "\uD83D") }"#, 2_000).is_err());
    }

    #[test]
    fn operations_and_fragments_can_be_described() {
        let document = "\"What it \\\" does\" query A { a(b: \"query\") } \"\"\"block { \"\"\" fragment f on Query { a }";
        let document = parse(document, 2_000).unwrap();
        assert!(document.fragments.contains_key("f"));
        assert!(parse("query A($a: Int = 1 @deprecated) { a(b: $a) }", 2_000).is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_without_the_text() {
        for (document, line, column) in [("{ a", 1, 4), ("{\n  \"é\" b }", 2, 3), ("type A { a: Int }", 1, 1), ("", 1, 1)] {
            let error = parse(document, 2_000).unwrap_err();
            assert_eq!((error.locations[0].line, error.locations[0].column), (line, column), "{document} {error:?}");
        }
    }

    #[test]
    fn names_are_given_once() {
        let twice = [
            "query a { b } query a { c }",
            "{ a } fragment f on Q { a } fragment f on Q { b }",
            "{ a(b: 1, b: 2) }",
            "{ a(b: {c: 1, c: 2}) }",
        ];
        for document in twice {
            assert!(parse(document, 2_000).is_err(), "{document}");
        }
    }

    #[test]
    fn limits_hold() {
        assert!(parse(&format!("{{ {} }}", "a ".repeat(2_001)), 2_000).is_err());
        assert!(parse(&format!("{{ a(b: {}1{}) }}", "[".repeat(400), "]".repeat(400)), 2_000).is_err());
        assert!(parse(&format!("{}{}", "{a".repeat(50), "}".repeat(50)), 2_000).is_ok());
    }
}
