//! The text of a formula becomes a tree.
//!
//! The grammar is small: numbers, texts in single or double quotes, `true`, `false`, `null`, fields (`amount`,
//! `custom.arr`, `company.name`), functions, `+ - * / %`, `&` for texts, comparisons, `and or not`, parentheses.

use std::iter::Peekable;
use std::str::CharIndices;

/// What is wrong with a formula, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The character, counted from 1.
    pub at: usize,
    pub message: String,
    /// Whether it is the filter of a roll-up.
    pub of_filter: bool,
}

impl Wrong {
    pub fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), of_filter: false }
    }

    pub fn of_filter(message: impl Into<String>) -> Self {
        Self { of_filter: true, ..Self::new(1, message) }
    }
}

/// A formula as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub at: usize,
    pub what: What,
}

impl Node {
    /// How many levels deep it is; what is written in a row nests to the left.
    fn depth(&self) -> usize {
        match &self.what {
            What::Call(_, arguments) => 1 + arguments.iter().map(Self::depth).max().unwrap_or(0),
            What::Unary(_, of) => 1 + of.depth(),
            What::Binary(_, left, right) => 1 + left.depth().max(right.depth()),
            _ => 1,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Number(String),
    Text(String),
    Boolean(bool),
    Null,
    /// A field, or the way to one.
    Path(Vec<String>),
    Call(String, Vec<Node>),
    Unary(&'static str, Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
}

/// The longest formula, in characters.
const LONGEST: usize = 2_000;
const DEEPEST: usize = 32;

pub fn parse(text: &str) -> Result<Node, Wrong> {
    if text.chars().count() > LONGEST {
        return Err(Wrong::new(1, format!("A formula has at most {LONGEST} characters.")));
    }
    let tokens = tokens(text)?;
    let end = text.chars().count() + 1;
    let mut parser = Parser { tokens, next: 0, end, depth: 0 };
    let node = parser.expression(0)?;
    match parser.peek() {
        None if node.depth() > DEEPEST => {
            Err(Wrong::new(1, format!("A formula nests at most {DEEPEST} levels deep, values in a row counted.")))
        }
        None => Ok(node),
        Some(token) => Err(Wrong::new(token.at, format!("`{}` is not expected here.", token.shown()))),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Number(String),
    Text(String),
    Word(String),
    Sign(&'static str),
}

#[derive(Clone, Debug)]
struct Token {
    at: usize,
    kind: Kind,
}

impl Token {
    fn shown(&self) -> &str {
        match &self.kind {
            Kind::Number(text) | Kind::Text(text) | Kind::Word(text) => text,
            Kind::Sign(sign) => sign,
        }
    }
}

/// Longer signs first.
const SIGNS: [&str; 20] = ["<=", ">=", "<>", "!=", "==", "&&", "||", "+", "-", "*", "/", "%", "&", "<", ">", "=", "!", "(", ")", ","];

fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    // Positions are told in characters, text is cut at bytes.
    let place = |byte: usize| text[..byte].chars().count() + 1;
    while let Some(&(start, c)) = chars.peek() {
        let at = place(start);
        let kind = match c {
            _ if c.is_whitespace() => {
                chars.next();
                continue;
            }
            '"' | '\'' => {
                chars.next();
                Kind::Text(quoted(&mut chars, c).ok_or_else(|| Wrong::new(at, "The text has no end: its quote is missing."))?)
            }
            _ if c.is_ascii_digit() => Kind::Number(take(&mut chars, |c| c.is_ascii_digit() || c == '.')),
            _ if c.is_alphabetic() || c == '_' => Kind::Word(take(&mut chars, |c| c.is_alphanumeric() || matches!(c, '_' | '.'))),
            _ => {
                let sign = SIGNS.iter().find(|sign| text[start..].starts_with(**sign));
                let sign = sign.ok_or_else(|| Wrong::new(at, format!("`{c}` means nothing in a formula.")))?;
                for _ in 0..sign.len() {
                    chars.next();
                }
                Kind::Sign(sign)
            }
        };
        tokens.push(Token { at, kind });
    }
    Ok(tokens)
}

fn take(chars: &mut Peekable<CharIndices<'_>>, fits: impl Fn(char) -> bool) -> String {
    let mut taken = String::new();
    while let Some((_, c)) = chars.next_if(|(_, c)| fits(*c)) {
        taken.push(c);
    }
    taken
}

/// A text up to its quote; the quote itself is written twice.
fn quoted(chars: &mut Peekable<CharIndices<'_>>, quote: char) -> Option<String> {
    let mut text = String::new();
    loop {
        let (_, c) = chars.next()?;
        if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Some(text);
        }
        text.push(c);
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    depth: usize,
}

/// Signs between two values, what they are called, and how tightly they bind.
const BINARY: [(&str, &str, u8); 18] = [
    ("or", "or", 1),
    ("||", "or", 1),
    ("and", "and", 2),
    ("&&", "and", 2),
    ("=", "=", 4),
    ("==", "=", 4),
    ("!=", "<>", 4),
    ("<>", "<>", 4),
    ("<", "<", 4),
    ("<=", "<=", 4),
    (">", ">", 4),
    (">=", ">=", 4),
    ("&", "&", 5),
    ("+", "+", 6),
    ("-", "-", 6),
    ("*", "*", 7),
    ("/", "/", 7),
    ("%", "%", 7),
];
const NOT: u8 = 3;
const MINUS: u8 = 8;

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == Kind::Sign(sign_of(sign)));
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Wrong> {
        if self.take_sign(sign) {
            return Ok(());
        }
        let (at, found) = self.peek().map_or((self.end, "the end".to_owned()), |token| (token.at, format!("`{}`", token.shown())));
        Err(Wrong::new(at, format!("Expected `{sign}`, not {found}.")))
    }

    fn expression(&mut self, binds: u8) -> Result<Node, Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let at = self.peek().map_or(self.end, |token| token.at);
            return Err(Wrong::new(at, format!("A formula nests at most {DEEPEST} levels deep.")));
        }
        let mut left = self.operand()?;
        let mut row = 0;
        while let Some((at, name, tightness)) = self.operator().filter(|(.., tightness)| *tightness > binds) {
            self.next += 1;
            row += 1;
            if row > DEEPEST {
                return Err(Wrong::new(at, format!("More than {DEEPEST} values in a row; make a field of a part of them.")));
            }
            let right = self.expression(tightness)?;
            if tightness == 4 && self.operator().is_some_and(|(.., next)| next == 4) {
                return Err(Wrong::new(at, "Comparisons do not follow one another; join them with `and`."));
            }
            left = Node { at, what: What::Binary(name, Box::new(left), Box::new(right)) };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(usize, &'static str, u8)> {
        let token = self.peek()?;
        let text = match &token.kind {
            Kind::Sign(sign) => (*sign).to_owned(),
            Kind::Word(word) => word.to_lowercase(),
            _ => return None,
        };
        let (_, name, tightness) = BINARY.iter().find(|(sign, ..)| *sign == text)?;
        Some((token.at, name, *tightness))
    }

    fn operand(&mut self) -> Result<Node, Wrong> {
        let Some(token) = self.peek().cloned() else { return Err(Wrong::new(self.end, "Something is missing at the end.")) };
        self.next += 1;
        let at = token.at;
        let what = match token.kind {
            Kind::Number(text) => What::Number(text),
            Kind::Text(text) => What::Text(text),
            Kind::Sign("-") => What::Unary("-", Box::new(self.expression(MINUS)?)),
            Kind::Sign("!") => What::Unary("not", Box::new(self.expression(MINUS)?)),
            Kind::Sign("(") => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Kind::Sign(sign) => return Err(Wrong::new(at, format!("`{sign}` is not expected here."))),
            Kind::Word(word) => match word.to_lowercase().as_str() {
                "true" => What::Boolean(true),
                "false" => What::Boolean(false),
                "null" => What::Null,
                "not" => What::Unary("not", Box::new(self.expression(NOT)?)),
                "and" | "or" => return Err(Wrong::new(at, format!("`{word}` is not expected here."))),
                _ if self.is_call() => What::Call(word, self.arguments()?),
                _ => What::Path(word.split('.').map(str::to_owned).collect()),
            },
        };
        Ok(Node { at, what })
    }

    fn is_call(&self) -> bool {
        self.peek().is_some_and(|token| token.kind == Kind::Sign("("))
    }

    fn arguments(&mut self) -> Result<Vec<Node>, Wrong> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if self.take_sign(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if !self.take_sign(",") {
                self.expect(")")?;
                return Ok(arguments);
            }
        }
    }
}

fn sign_of(sign: &str) -> &'static str {
    SIGNS.iter().find(|known| **known == sign).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node) -> String {
        match &node.what {
            What::Number(text) => text.clone(),
            What::Text(text) => format!("'{text}'"),
            What::Boolean(yes) => yes.to_string(),
            What::Null => "null".into(),
            What::Path(path) => path.join("."),
            What::Call(name, arguments) => format!("{name}({})", arguments.iter().map(shown).collect::<Vec<_>>().join(", ")),
            What::Unary(sign, of) => format!("({sign} {})", shown(of)),
            What::Binary(sign, left, right) => format!("({} {sign} {})", shown(left), shown(right)),
        }
    }

    #[test]
    fn signs_bind_as_everybody_expects() {
        for (text, tree) in [
            ("amount * probability / 100", "((amount * probability) / 100)"),
            ("1 + 2 * -3 - 4", "((1 + (2 * (- 3))) - 4)"),
            ("not a and b OR c", "(((not a) and b) or c)"),
            ("if(company.name = 'O''Brien', \"x\", y) & 'z'", "(if((company.name = 'O'Brien'), 'x', y) & 'z')"),
            ("(1 + 2) % 3 >= 0 && !b", "((((1 + 2) % 3) >= 0) and (not b))"),
            ("not (a)", "(not a)"),
        ] {
            assert_eq!(shown(&parse(text).unwrap()), tree);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, at) in
            [("", 1), ("1 +", 4), ("1 2", 3), ("é + #", 5), ("'x", 1), ("f(1", 4), ("1 < 2 < 3", 3), ("(1))", 4), ("and 1", 1)]
        {
            assert_eq!(parse(text).unwrap_err().at, at, "{text}");
        }
        assert!(parse(&"(".repeat(100)).unwrap_err().message.contains("levels deep"));
        assert!(parse(&"1".repeat(3_000)).is_err());
        for (begin, end) in [("1+", "1"), ("1 & ", "1"), ("-", "1"), ("not ", "true"), ("abs(", "1"), ("1-(", "1")] {
            let long = format!("{}{end}", begin.repeat(300));
            assert!(parse(&long).is_err(), "{begin}");
        }
    }
}
