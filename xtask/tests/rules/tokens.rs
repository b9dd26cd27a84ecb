//! Rust source as tokens: enough to follow paths and to measure functions, without comments, literals and test code.

use std::iter::Peekable;
use std::str::Chars;

/// A name, a number, `::` or one character of punctuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(crate) fn is_name(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The tokens of a file. Literals are left out.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: text.chars().peekable(),
        line: 1,
    };
    let mut found = Vec::new();
    while let Some(token) = lexer.token() {
        found.extend(token);
    }
    found
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Lexer<'_> {
    fn bump(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn next_is(&mut self, c: char) -> bool {
        self.rest.peek() == Some(&c)
    }

    /// `None` at the end of the file, `Some(None)` for what is left out.
    fn token(&mut self) -> Option<Option<Token>> {
        let line = self.line;
        let c = self.bump()?;
        let mut text = c.to_string();
        match c {
            '/' if self.next_is('/') => return Some(self.line_comment()),
            '/' if self.next_is('*') => return Some(self.block_comment()),
            '"' => return Some(self.string()),
            '\'' => return Some(self.char_or_lifetime()),
            ':' if self.next_is(':') => text.extend(self.bump()),
            c if c.is_whitespace() => return Some(None),
            c if c.is_alphanumeric() || c == '_' => {
                while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    text.push(c);
                }
                match text.as_str() {
                    "r" | "br" | "cr" if self.next_is('"') || self.next_is('#') => {
                        return Some(self.raw(line));
                    }
                    "b" | "c" if self.next_is('"') => return Some(None),
                    _ => {}
                }
            }
            _ => {}
        }
        Some(Some(Token { line, text }))
    }

    fn line_comment(&mut self) -> Option<Token> {
        while self.bump().is_some_and(|c| c != '\n') {}
        None
    }

    fn block_comment(&mut self) -> Option<Token> {
        let (mut depth, mut before) = (1, None);
        self.bump();
        while depth > 0 {
            let c = self.bump()?;
            match (before, c) {
                (Some('*'), '/') => (depth, before) = (depth - 1, None),
                (Some('/'), '*') => (depth, before) = (depth + 1, None),
                _ => before = Some(c),
            }
        }
        None
    }

    fn string(&mut self) -> Option<Token> {
        loop {
            match self.bump()? {
                '"' => return None,
                '\\' => {
                    self.bump();
                }
                _ => {}
            }
        }
    }

    /// After `r`: a raw string, or a raw name such as `r#type`.
    fn raw(&mut self, line: usize) -> Option<Token> {
        let mut hashes = 0;
        while self.rest.next_if_eq(&'#').is_some() {
            hashes += 1;
        }
        if self.rest.next_if_eq(&'"').is_none() {
            let mut text = String::new();
            while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                text.push(c);
            }
            return Some(Token { line, text });
        }
        let mut closing = None;
        while closing != Some(hashes) {
            closing = match (self.bump()?, closing) {
                ('"', _) => Some(0),
                ('#', Some(seen)) => Some(seen + 1),
                _ => None,
            };
        }
        None
    }

    fn char_or_lifetime(&mut self) -> Option<Token> {
        match self.bump()? {
            '\\' => {
                self.bump();
                while self.bump().is_some_and(|c| c != '\'') {}
            }
            _ => {
                self.rest.next_if_eq(&'\'');
            }
        }
        None
    }
}

/// The tokens without the items that only tests compile, and the names of the modules among those.
pub(crate) fn without_tests(all: &[Token]) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut modules, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(token) = all.get(at) {
        let attribute = match token.is("#") {
            true => group_end(all, at + 1, "["),
            false => None,
        };
        let Some(end) = attribute else {
            kept.push(token.clone());
            at += 1;
            continue;
        };
        let named = |text: &str| all[at..end].iter().any(|token| token.is(text));
        if !(named("cfg") && named("test")) || named("not") {
            at = end;
            continue;
        }
        let mut item = end;
        while all.get(item).is_some_and(|token| token.is("#")) {
            item = group_end(all, item + 1, "[").unwrap_or(item + 1);
        }
        let end = item_end(all, item);
        let module = all[item..end].iter().take_while(|token| !token.is("{"));
        let module: Vec<&Token> = module.collect();
        if let Some(mods) = module.iter().position(|token| token.is("mod"))
            && let Some(name) = module.get(mods + 1)
        {
            modules.push(name.text.clone());
        }
        at = end;
    }
    (kept, modules)
}

/// Where the group that opens at `at` ends, if one opens there: the place after its closing token.
pub(crate) fn group_end(all: &[Token], at: usize, opening: &str) -> Option<usize> {
    all.get(at).filter(|token| token.is(opening))?;
    let mut depth = 0_usize;
    for (place, token) in all.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(place + 1);
        }
    }
    None
}

/// Where an item, a field or a statement ends.
fn item_end(all: &[Token], from: usize) -> usize {
    const ITEMS: [&str; 13] = [
        "pub", "mod", "use", "fn", "impl", "struct", "enum", "const", "static", "trait", "type",
        "async", "unsafe",
    ];
    let is_item = all
        .get(from)
        .is_some_and(|token| ITEMS.contains(&token.text.as_str()));
    let mut at = from;
    while let Some(token) = all.get(at) {
        match token.text.as_str() {
            ";" => return at + 1,
            "," if !is_item => return at + 1,
            "{" => return group_end(all, at, "{").unwrap_or(all.len()),
            "(" | "[" => at = group_end(all, at, &token.text).unwrap_or(all.len()),
            ")" | "]" | "}" => return at,
            _ => at += 1,
        }
    }
    all.len()
}

fn texts(text: &str) -> Vec<String> {
    without_tests(&tokens(text))
        .0
        .into_iter()
        .map(|token| token.text)
        .collect()
}

#[test]
fn comments_literals_and_test_code_are_no_tokens() {
    let text = "\
//! crate::a
/* crate::b /* nested */ crate::c */
fn f<'a>(x: &'a str) { g('x', '\\'', \"crate::d \\\" {\", r#\"crate::e \" {\"#, b\"{\", r#type) }
#[cfg(test)]
#[path = \"x.rs\"]
mod tests;
#[cfg(any(test, feature = \"fixture\"))]
fn only_here() { crate::f() }
#[derive(Debug)]
struct S { #[cfg(test)] hidden: crate::g::G, shown: u8 }";
    let kept = texts(text).join(" ");
    assert_eq!(
        kept,
        "fn f < > ( x : & str ) { g ( , , , , , type ) } struct S { shown : u8 }"
    );
    assert_eq!(without_tests(&tokens(text)).1, ["tests"]);
}
