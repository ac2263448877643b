//! JSON values of options, with Python's words for what is wrong with them.

use serde_json::Value;

/// Parses a JSON text.
///
/// # Errors
/// `Invalid JSON: …` with the place, and the text, as the AWS CLI tells it.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        let line = error.line();
        // serde_json counts the place behind the mistake, in bytes.
        let column = error.column().max(1);
        let before: usize = text
            .split_inclusive('\n')
            .take(line.saturating_sub(1))
            .map(|line| line.chars().count())
            .sum();
        format!(
            "Invalid JSON: {reason}: line {line} column {column} (char {})\nJSON received: {text}",
            before + column - 1
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_place_and_the_text() {
        let told = parse("{\n\"a\": x}").unwrap_err();
        assert!(
            told.starts_with("Invalid JSON: expected value: line 2 column 6 (char 7)\n"),
            "{told}"
        );
        assert!(told.ends_with("\nJSON received: {\n\"a\": x}"), "{told}");
    }
}
