use super::*;
use proptest::prelude::*;
use serde_json::json;

fn search(expression: &str, value: &Value) -> Result<Value, String> {
    Query::parse(expression)?.search(value.clone())
}

#[test]
fn expressions_select_what_they_select_in_python() {
    let value = json!({
        "b": {"x": 1, "a": [1, 2, 3]},
        "list": [{"n": 2, "s": "b"}, {"n": 10, "s": "a"}, {"n": 1.5}],
        "text": "h\u{e9}",
    });
    for (expression, selected) in [
        ("{z: b.x, a: text}", json!({"z": 1, "a": "h\u{e9}"})),
        ("`{\"z\": 1, \"a\": 2}`", json!({"z": 1, "a": 2})),
        ("list[*].s", json!(["b", "a"])),
        ("list[?s == `a`].n", json!([10])),
        ("list[?n > `1.7`].n | [0]", json!(2)),
        ("b.a[::-1]", json!([3, 2, 1])),
        ("b.a[-2:]", json!([2, 3])),
        ("b.a[5:0:-2]", json!([3])),
        ("b.*", json!([1, [1, 2, 3]])),
        ("b.*[]", json!([1, 1, 2, 3])),
        ("[b.a, b.a][]", json!([1, 2, 3, 1, 2, 3])),
        ("sum(b.a)", json!(6)),
        ("avg(b.a)", json!(2.0)),
        ("max(b.a)", json!(3)),
        ("sort_by(list, &n)[*].n", json!([1.5, 2, 10])),
        ("max_by(list, &n).s", json!("a")),
        ("map(&n, list)", json!([2, 10, 1.5])),
        ("length(text)", json!(2)),
        ("reverse(text)", json!("\u{e9}h")),
        ("to_string(b)", json!("{\"x\":1,\"a\":[1,2,3]}")),
        ("to_string(text)", json!("h\u{e9}")),
        ("to_number('12')", json!(12)),
        ("to_number('1.5')", json!(1.5)),
        ("to_number('x')", json!(null)),
        ("to_array(text)", json!(["h\u{e9}"])),
        ("type(b.a)", json!("array")),
        ("ceil(`1.2`)", json!(2)),
        ("floor(`-1.2`)", json!(-2)),
        ("abs(`-3`)", json!(3)),
        ("join('-', ['a', 'b'])", json!("a-b")),
        (
            "merge(b, {x: `2`, q: `3`})",
            json!({"x": 2, "a": [1, 2, 3], "q": 3}),
        ),
        ("not_null(nope, b.x)", json!(1)),
        ("contains(b.a, `2`)", json!(true)),
        ("contains(text, 'h')", json!(true)),
        ("starts_with(text, 'x')", json!(false)),
        ("ends_with(text, '\u{e9}')", json!(true)),
        ("keys(b)", json!(["x", "a"])),
        ("values(b)", json!([1, [1, 2, 3]])),
        ("sort(['b', 'a'])", json!(["a", "b"])),
        ("!b.x", json!(null)),
        ("!(b.x)", json!(false)),
        ("nope || b.x", json!(1)),
        ("b.x && text", json!("h\u{e9}")),
        ("b.x == `1.0`", json!(true)),
        ("b < b", json!(null)),
        ("nope.[a]", json!(null)),
        ("`1` == `true`", json!(false)),
        ("'a`b`c'", json!("a`b`c")),
    ] {
        let found = search(expression, &value);
        assert_eq!(found, Ok(selected.clone()), "{expression}");
        let text = |value: &Value| value.to_string();
        assert_eq!(
            text(&found.unwrap()),
            text(&selected),
            "the order in {expression}"
        );
    }
}

#[test]
fn what_a_function_cannot_take_is_told_in_pythons_words() {
    let value = json!({"s": "x", "l": [1, "a"]});
    for (expression, message) in [
        (
            "abs(s)",
            "In function abs(), invalid type for value: x, expected one of: ['number'], received: \"string\"",
        ),
        (
            "sum(l)",
            "In function sum(), invalid type for value: a, expected one of: ['array-number'], received: \"str\"",
        ),
        (
            "sort(l)",
            "In function sort(), invalid type for value: a, expected one of: ['array-string', 'array-number'], received: \"str\"",
        ),
        (
            "max_by(l, &@)",
            "'>' not supported between instances of 'str' and 'int'",
        ),
        (
            "sort_by(l, &@)",
            "In function sort_by(), invalid type for value: a, expected one of: ['number'], received: \"string\"",
        ),
        (
            "abs()",
            "Expected 1 argument for function abs(), received 0",
        ),
        (
            "merge()",
            "Expected at least 1 argument for function merge(), received 0",
        ),
        ("nope(s)", "Unknown function: nope()"),
        (
            "contains(s, `1`)",
            "'in <string>' requires string as left operand, not int",
        ),
        ("l[::0]", "slice step cannot be zero"),
    ] {
        assert_eq!(
            search(expression, &value),
            Err(message.to_owned()),
            "{expression}"
        );
    }
}

#[test]
fn a_mistake_in_an_expression_is_marked_with_a_caret() {
    let told = Query::parse("foo bar").unwrap_err();
    assert!(
        told.starts_with("Bad value for --query foo bar: Invalid jmespath expression: "),
        "{told}"
    );
    for (expression, place) in [
        ("foo bar", "\n\"foo bar\"\n     ^"),
        ("foo.", "\n\"foo.\"\n     ^"),
        ("\"é\"..b", "\n\"\"é\"..b\"\n     ^"),
        ("foo #", "\nfoo #\n    ^"),
        ("'foo", "\n'foo\n^"),
    ] {
        let told = Query::parse(expression).unwrap_err();
        assert!(told.ends_with(place), "{told}");
    }
    let told = Query::parse(" ").unwrap_err();
    assert!(told.ends_with("cannot be empty."), "{told}");
}

/// What the system gives a program's main thread, in which queries run. Tests have
/// less, and calls that are not optimised take several times as much.
const STACK: usize = 8 << 20;

#[test]
fn an_expression_of_any_depth_ends_in_an_error_and_not_in_a_full_stack() {
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(try_any_depth).unwrap().join().unwrap();
}

fn try_any_depth() {
    let deep = [
        "(".repeat(50_000),
        "!".repeat(50_000),
        "[".repeat(50_000),
        "{a:".repeat(50_000),
        "&".repeat(50_000),
        "a[?".repeat(50_000),
        format!("a{}", ".a".repeat(50_000)),
        format!("a{}", "[0]".repeat(50_000)),
        format!("a{}", "[]".repeat(50_000)),
        format!("a{}", ".*".repeat(50_000)),
        format!("a{}", "|a".repeat(50_000)),
        format!("a{}", "==a".repeat(50_000)),
    ];
    for expression in deep {
        let told = Query::parse(&expression).unwrap_err();
        assert!(told.ends_with("more than 500 operators"));
    }
    let deepest = format!(
        "{}@{}",
        "[".repeat(MAX_OPERATORS),
        "]".repeat(MAX_OPERATORS)
    );
    assert!(search(&deepest, &json!(1)).is_ok());
    let quoted = format!("'{0}' || `\"{0}\"` || \"{0}\"", "(".repeat(1000));
    assert!(search(&quoted, &json!(1)).is_ok());
}

/// Texts of what expressions are made of.
fn near_expression() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-c(){}\\[\\].*!&|<>=@,:?'`\" 0-9-]",
        proptest::sample::select(vec![
            "[?",
            "[]",
            "[*]",
            "==",
            "||",
            "&&",
            "`[1]`",
            "'x'",
            "a",
            "{a: ",
            "sort_by(@, &a)",
            "length(",
            "[::-1]",
            "to_string(@)",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_evaluated_or_refused(text in any::<String>(), near in near_expression()) {
        let value = json!({"a": [{"a": 1, "b": "x"}, {"a": 2.5}], "b": {"c": null}});
        for expression in [text, near] {
            let _ = search(&expression, &value);
        }
    }
}
