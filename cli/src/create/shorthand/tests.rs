use super::*;
use serde_json::json;

fn syntax(input: &str) -> String {
    match parse(input) {
        Err(Error::Syntax(message)) => message,
        other => panic!("{input}: {other:?}"),
    }
}

#[test]
fn the_grammar_is_that_of_the_aws_cli() {
    for (input, value) in [
        ("a=b", json!({"a": "b"})),
        ("a=", json!({"a": ""})),
        ("a=,b=c", json!({"a": "", "b": "c"})),
        ("a=b,c", json!({"a": ["b", "c"]})),
        ("a=b,c,d=e", json!({"a": ["b", "c"], "d": "e"})),
        ("a = b , c = d", json!({"a": "b", "c": "d"})),
        ("a=b c ,d=e", json!({"a": "b c", "d": "e"})),
        ("a=b=c", json!({"a": "b=c"})),
        ("a=[b,c]", json!({"a": ["b", "c"]})),
        ("a=[]", json!({"a": []})),
        ("a=[b]", json!({"a": ["b"]})),
        ("a=[b,[c,d]]", json!({"a": ["b", ["c", "d"]]})),
        ("a={b=c,d=e}", json!({"a": {"b": "c", "d": "e"}})),
        ("a={}", json!({"a": {}})),
        ("a={b=[c,{d=e}]}", json!({"a": {"b": ["c", {"d": "e"}]}})),
        ("a={b=c},d=e", json!({"a": {"b": "c"}, "d": "e"})),
        ("a='b,c'", json!({"a": "b,c"})),
        ("a=\"b,c\"", json!({"a": "b,c"})),
        ("a='it\\'s'", json!({"a": "it's"})),
        ("a='b\\\\c'", json!({"a": "b\\c"})),
        ("a='b\\'", json!({"a": "b\\"})),
        ("a='b','c'", json!({"a": ["b", "c"]})),
        ("a=b\\,c", json!({"a": "b,c"})),
        ("a=b\\c", json!({"a": "b\\c"})),
        ("a.b-c_d#e/f:g=h", json!({"a.b-c_d#e/f:g": "h"})),
        ("a=\u{e9}", json!({"a": "\u{e9}"})),
        ("a=b,c]d}e,f=g", json!({"a": ["b", "c]d}e"], "f": "g"})),
        ("a@=b", json!({"a": "b"})),
    ] {
        assert_eq!(parse(input), Ok(value), "{input}");
    }
}

#[test]
fn objects_in_json_may_stand_inside() {
    for (input, value) in [
        (
            "a={\"b\": {\"c\": 1}},d=e",
            json!({"a": {"b": {"c": 1}}, "d": "e"}),
        ),
        (
            "a=[{ \"\u{e9}\": \"],\"},{b=c}]",
            json!({"a": [{"\u{e9}": "],"}, {"b": "c"}]}),
        ),
        ("a={b={\"c\": []}}", json!({"a": {"b": {"c": []}}})),
    ] {
        assert_eq!(parse(input), Ok(value), "{input}");
    }
    let broken = "Expected: '=', received: '\"' for input:\na={\"b\": }\n   ^";
    assert_eq!(syntax("a={\"b\": }"), broken);
}

#[test]
fn mistakes_are_told_as_by_the_aws_cli_with_a_caret_at_the_place() {
    for (input, message) in [
        ("a", "Expected: '=', received: 'EOF' for input:\na\n ^"),
        ("", "Expected: '=', received: 'EOF' for input:\n\n^"),
        (
            "a=[b",
            "Expected: ',', received: 'EOF' for input:\na=[b\n    ^",
        ),
        (
            "a={b",
            "Expected: '=', received: 'EOF' for input:\na={b\n    ^",
        ),
        (
            "a={b=c",
            "Expected: ',', received: 'EOF' for input:\na={b=c\n      ^",
        ),
        (
            "a={b c}",
            "Expected: '=', received: 'c' for input:\na={b c}\n     ^",
        ),
        (
            "a='b",
            "Expected: '<singled quoted>', received: '<none>' for input:\na='b\n  ^",
        ),
        (
            "a=\"b",
            "Expected: '<double quoted>', received: '<none>' for input:\na=\"b\n  ^",
        ),
        (
            "a=b}",
            "Expected: ',', received: '}' for input:\na=b}\n   ^",
        ),
        (
            "a=b,\nc}=d",
            "Expected: '=', received: '}' for input:\na=b,\nc}=d\n ^",
        ),
        (
            "a b,\nc=d",
            "Expected: '=', received: 'b' for input:\na b,\n  ^\nc=d",
        ),
        (
            "a=b,a=c",
            "Second instance of key \"a\" encountered for input:\na=b,a=c\n    ^\n\
             This is often because there is a preceding \",\" instead of a space.",
        ),
    ] {
        assert_eq!(syntax(input), message, "{input}");
    }
}

#[test]
fn deep_nesting_ends_the_parse_and_not_the_process() {
    let input = format!("a={}", "[".repeat(100_000));
    assert_eq!(syntax(&input), "maximum recursion depth exceeded");
}

#[test]
fn a_value_behind_at_equals_stands_for_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bucket");
    std::fs::write(&path, "a,b=c").unwrap();
    let path = format!("file://{}", path.display());
    assert_eq!(parse(&format!("a@={path}")), Ok(json!({"a": "a,b=c"})));
    assert_eq!(
        parse(&format!("a={{b@={path}}}")),
        Ok(json!({"a": {"b": "a,b=c"}}))
    );
    assert_eq!(parse(&format!("a={path}")), Ok(json!({"a": path})));
    let missing = parse("a@=file://nope");
    assert!(matches!(missing, Err(Error::File(message)) if message.contains("file://nope")));
}
