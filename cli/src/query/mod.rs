//! `--query`: JMESPath.
//!
//! The `jmespath` crate reads the expressions. They are evaluated here, because
//! that crate sorts the members of objects and makes every number a float, which
//! shows in the output; the AWS CLI keeps order and whole numbers.

mod eval;
mod functions;
mod literal;
mod number;

use jmespath::JmespathError;
use jmespath::ast::Ast;
use serde_json::Value;

/// Expressions are read and evaluated by recursion. No expression of use comes near
/// this many operators; those beyond would end the stack, not only the program.
const MAX_OPERATORS: usize = 500;

/// A parsed expression.
#[derive(Debug)]
pub(crate) struct Query {
    source: String,
    ast: Ast,
}

impl Query {
    /// Parses an expression.
    ///
    /// # Errors
    /// What is wrong with it, with a caret at the place.
    pub(crate) fn parse(expression: &str) -> Result<Self, String> {
        let bad = |reason: &str| format!("Bad value for --query {expression}: {reason}");
        if expression.trim().is_empty() {
            return Err(bad("Invalid JMESPath expression: cannot be empty."));
        }
        if literal::operators(expression) > MAX_OPERATORS {
            return Err(bad(&format!(
                "Invalid JMESPath expression: more than {MAX_OPERATORS} operators"
            )));
        }
        let source = literal::quote_bare(expression);
        match jmespath::parse(&source) {
            Ok(ast) => Ok(Self { source, ast }),
            Err(error) => Err(bad(&described(&source, &error))),
        }
    }

    /// What the expression selects of `value`.
    ///
    /// # Errors
    /// A function that got what it cannot take, in the words of Python's jmespath.
    pub(crate) fn search(&self, value: Value) -> Result<Value, String> {
        eval::Evaluator {
            source: &self.source,
        }
        .eval(&self.ast, &value)
    }
}

/// The reason and the place, where Python's jmespath puts its caret: it quotes an
/// expression whose words it can read.
fn described(source: &str, error: &JmespathError) -> String {
    let reason = error.reason.to_string();
    let (quote, indent) = match reason.contains(" -- found ") {
        true => ("\"", 1),
        false => ("", 0),
    };
    // The offset counts bytes.
    let before = source
        .char_indices()
        .take_while(|(at, _)| *at < error.offset);
    let caret = " ".repeat(before.count() + indent);
    format!("Invalid jmespath expression: {reason}:\n{quote}{source}{quote}\n{caret}^")
}

#[cfg(test)]
mod tests;
