//! The AWS CLI's shorthand syntax: `A=b,C={D=e,F=[1,2]}`.
//!
//! ```text
//! parameter   = keyval *("," keyval)
//! keyval      = key ("=" / "@=") [values]
//! values      = csv-list / explicit-list / hash-literal
//! csv-list    = value *("," value)
//! explicit    = explicit-list / hash-literal / value
//! explicit-list = "[" [explicit *("," explicit)] "]"
//! hash-literal  = "{" [key ("=" / "@=") explicit *("," …)] "}"
//! value       = 'single-quoted' / "double-quoted" / bare text, commas as "\,"
//! ```
//! An object in JSON may stand for a hash-literal, unlike in the AWS CLI.
//! Behind `@=`, a value that begins with `file://` stands for the file's contents.
//! Every scalar of shorthand comes out as text; [`super::coerce`] makes numbers of it.

use serde_json::{Map, Value};

use super::paramfile;

/// Lists and structures inside each other beyond this end the parse, not the stack.
const MAX_DEPTH: usize = 128;

/// Parses a shorthand value.
///
/// # Errors
/// The AWS CLI's message, the place marked with a caret.
pub(crate) fn parse(input: &str) -> Result<Value, Error> {
    let mut parser = Parser {
        input: input.chars().collect(),
        index: 0,
        resolves_files: false,
        depth: 0,
    };
    parser.parameter().map(Value::Object)
}

/// Why a shorthand value cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Error {
    /// The text does not follow the grammar.
    Syntax(String),
    /// A file behind `@=` cannot be read.
    File(String),
}

struct Parser {
    input: Vec<char>,
    index: usize,
    /// Whether the values of the current key may name files.
    resolves_files: bool,
    depth: usize,
}

impl Parser {
    fn parameter(&mut self) -> Result<Map<String, Value>, Error> {
        let mut parameters = Map::new();
        let (key, value) = self.keyval()?;
        parameters.insert(key, value);
        let mut end = self.index;
        while !self.at_end() {
            self.expect_between(',')?;
            let (key, value) = self.keyval()?;
            if parameters.contains_key(&key) {
                return Err(self.duplicate(&key, end + 1));
            }
            parameters.insert(key, value);
            end = self.index;
        }
        Ok(parameters)
    }

    fn keyval(&mut self) -> Result<(String, Value), Error> {
        let key = self.key_and_sign()?;
        let value = match self.current() {
            None => Value::String(String::new()),
            Some('[' | '{') => self.explicit()?,
            Some(_) => self.csv()?,
        };
        Ok((key, value))
    }

    /// A key and the `=` or `@=` behind it.
    fn key_and_sign(&mut self) -> Result<String, Error> {
        let start = self.index;
        while self.current().is_some_and(is_key) {
            self.index += 1;
        }
        let key = self.input[start..self.index].iter().collect();
        self.resolves_files = self.expect_between('@').is_ok();
        self.expect_between('=')?;
        Ok(key)
    }

    fn csv(&mut self) -> Result<Value, Error> {
        let first = self.value()?;
        self.skip_space();
        if self.current() != Some(',') {
            return Ok(first);
        }
        self.expect_between(',')?;
        let mut values = vec![first];
        loop {
            match self.csv_next() {
                Ok((value, true)) => values.push(value),
                Ok((value, false)) => {
                    values.push(value);
                    break;
                }
                // In `a=b,c=d` the text behind the comma is a key: back to the comma.
                Err(Error::Syntax(_)) if !self.at_end() => {
                    while self.input[self.index] != ',' {
                        self.index -= 1;
                    }
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if values.len() > 1 {
            return Ok(Value::Array(values));
        }
        Ok(values.remove(0))
    }

    /// One more value of a list without brackets, and whether another follows.
    fn csv_next(&mut self) -> Result<(Value, bool), Error> {
        let value = match self.current() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            _ => match self.bare(is_later_follow) {
                Some(text) => text,
                None => return Err(self.unexpected("<second>", Some("<none>"))),
            },
        };
        let value = self.resolve(value)?;
        self.skip_space();
        if self.at_end() {
            return Ok((value, false));
        }
        self.expect_between(',')?;
        Ok((value, true))
    }

    fn explicit(&mut self) -> Result<Value, Error> {
        match self.current() {
            Some(opening @ ('[' | '{')) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(Error::Syntax("maximum recursion depth exceeded".to_owned()));
                }
                let value = if opening == '[' {
                    self.list()
                } else {
                    self.json().map_or_else(|| self.hash(), Ok)
                };
                self.depth -= 1;
                value
            }
            _ => self.value(),
        }
    }

    fn list(&mut self) -> Result<Value, Error> {
        self.expect_between('[')?;
        let mut values = Vec::new();
        while self.current() != Some(']') {
            values.push(self.explicit()?);
            self.separator(']')?;
        }
        self.expect(']')?;
        Ok(Value::Array(values))
    }

    fn hash(&mut self) -> Result<Value, Error> {
        self.expect_between('{')?;
        let mut members = Map::new();
        while self.current() != Some('}') {
            let key = self.key_and_sign()?;
            let value = self.explicit()?;
            self.separator('}')?;
            members.insert(key, value);
        }
        self.expect('}')?;
        Ok(Value::Object(members))
    }

    /// A JSON object, which begins as no structure of shorthand does: `{"`.
    fn json(&mut self) -> Option<Value> {
        let inside = self.input.get(self.index + 1..)?;
        let begins = inside.iter().find(|character| !is_space(**character));
        if begins != Some(&'"') {
            return None;
        }
        let text: String = self.input[self.index..].iter().collect();
        let mut values = serde_json::Deserializer::from_str(&text).into_iter();
        let value = values.next()?.ok()?;
        self.index += text[..values.byte_offset()].chars().count();
        Some(value)
    }

    /// The comma behind an element, unless it is the last.
    fn separator(&mut self, closing: char) -> Result<(), Error> {
        self.skip_space();
        if self.current() != Some(closing) {
            self.expect(',')?;
            self.skip_space();
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value, Error> {
        let text = match self.current() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            _ => match self.bare(is_first_follow) {
                Some(text) => text,
                None => return Ok(Value::String(String::new())),
            },
        };
        self.resolve(text)
    }

    /// Bare text, spaces at its end left out; nothing if none begins here.
    fn bare(&mut self, follows: fn(char) -> bool) -> Option<String> {
        let mut text = String::new();
        let mut allowed: fn(char) -> bool = is_start;
        loop {
            match (self.current(), self.input.get(self.index + 1)) {
                (Some('\\'), Some(',')) => {
                    text.push(',');
                    self.index += 2;
                }
                (Some(character), _) if allowed(character) => {
                    text.push(character);
                    self.index += 1;
                }
                _ => break,
            }
            allowed = follows;
        }
        (!text.is_empty()).then(|| text.trim_end().to_owned())
    }

    /// Text in quotes; `\` escapes the quote and itself. Where no quote closes,
    /// the last escaped one does.
    fn quoted(&mut self, quote: char) -> Result<String, Error> {
        let start = self.index + 1;
        let mut last_escaped = None;
        let mut at = start;
        let end = loop {
            match (self.input.get(at), self.input.get(at + 1)) {
                (Some('\\'), Some(&next)) if next == quote => {
                    last_escaped = Some(at + 1);
                    at += 2;
                }
                (Some(&character), _) if character == quote => break Some(at),
                (Some(_), _) => at += 1,
                (None, _) => break last_escaped,
            }
        };
        let Some(end) = end else {
            let name = match quote {
                '\'' => "<singled quoted>",
                _ => "<double quoted>",
            };
            return Err(self.unexpected(name, Some("<none>")));
        };
        self.index = end + 1;
        let text: String = self.input[start..end].iter().collect();
        Ok(text
            .replace(&format!("\\{quote}"), &quote.to_string())
            .replace("\\\\", "\\"))
    }

    fn resolve(&self, text: String) -> Result<Value, Error> {
        let contents = if self.resolves_files {
            paramfile::load(&text).map_err(Error::File)?
        } else {
            None
        };
        Ok(Value::String(contents.unwrap_or(text)))
    }

    fn current(&self) -> Option<char> {
        self.input.get(self.index).copied()
    }

    fn at_end(&self) -> bool {
        self.index >= self.input.len()
    }

    fn skip_space(&mut self) {
        while self.current().is_some_and(is_space) {
            self.index += 1;
        }
    }

    fn expect(&mut self, character: char) -> Result<(), Error> {
        if self.current() != Some(character) {
            return Err(self.unexpected(&character.to_string(), None));
        }
        self.index += 1;
        Ok(())
    }

    /// The character, with any space around it.
    fn expect_between(&mut self, character: char) -> Result<(), Error> {
        self.skip_space();
        self.expect(character)?;
        self.skip_space();
        Ok(())
    }

    /// `received` is what stands here, if not given.
    fn unexpected(&self, expected: &str, received: Option<&str>) -> Error {
        let received = match (received, self.current()) {
            (Some(received), _) => received.to_owned(),
            (None, Some(character)) => character.to_string(),
            (None, None) => "EOF".to_owned(),
        };
        let place = self.place(self.index);
        Error::Syntax(format!(
            "Expected: '{expected}', received: '{received}' for input:\n{place}"
        ))
    }

    fn duplicate(&self, key: &str, index: usize) -> Error {
        let place = self.place(index);
        Error::Syntax(format!(
            "Second instance of key \"{key}\" encountered for input:\n{place}\n\
             This is often because there is a preceding \",\" instead of a space."
        ))
    }

    /// The input with a caret below the character at `index`.
    fn place(&self, index: usize) -> String {
        let (before, after) = self.input.split_at(index.min(self.input.len()));
        let column = match before.iter().rposition(|character| *character == '\n') {
            Some(newline) => index - newline - 1,
            None => index,
        };
        let rest_of_line = after.iter().position(|character| *character == '\n');
        let end = rest_of_line.map_or(self.input.len(), |length| before.len() + length);
        let (line, following) = self.input.split_at(end);
        let text = |characters: &[char]| characters.iter().collect::<String>();
        format!("{}\n{}^{}", text(line), " ".repeat(column), text(following))
    }
}

/// White space between tokens.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t'..='\r')
}

fn is_key(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-_.#/:".contains(character)
}

/// What bare text may begin with.
fn is_start(character: char) -> bool {
    matches!(character, '!'..='\u{ffff}') && !"\"',=[{".contains(character)
}

/// What may follow in the first value behind a key, or within brackets.
fn is_first_follow(character: char) -> bool {
    is_in_text(character) && !"]}".contains(character)
}

/// What may follow in the later values of a list without brackets.
fn is_later_follow(character: char) -> bool {
    is_in_text(character) && character != '='
}

fn is_in_text(character: char) -> bool {
    let in_range = matches!(character, '!'..='\u{ffff}') || character.is_whitespace();
    in_range && !"\"',".contains(character)
}

#[cfg(test)]
mod tests;
