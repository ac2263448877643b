//! `--query`: JMESPath.
//!
//! The `jmespath` crate reads the expressions. They are evaluated here, because
//! that crate sorts the members of objects and makes every number a float, which
//! shows in the output; the AWS CLI keeps order and whole numbers.

mod eval;
mod functions;
mod literal;
mod number;

use jmespath::ast::Ast;
use serde_json::Value;

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
        let source = literal::quote_bare(expression);
        match jmespath::parse(&source) {
            Ok(ast) => Ok(Self { source, ast }),
            Err(error) => Err(bad(&format!(
                "Invalid jmespath expression: {}:\n{source}\n{}^",
                error.reason,
                " ".repeat(error.column)
            ))),
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

#[cfg(test)]
mod tests;
