use super::section::text_width;
use super::*;
use serde_json::json;

fn table(value: &Value, terminal_width: usize) -> String {
    render("T", value, false, terminal_width).unwrap()
}

#[test]
fn what_is_empty_prints_nothing() {
    for value in [
        json!(null),
        json!(""),
        json!([]),
        json!({}),
        json!(0),
        json!(false),
    ] {
        assert_eq!(table(&value, 80), "");
    }
}

#[test]
fn a_row_that_is_too_wide_for_the_terminal_becomes_a_column() {
    let value = json!({"a": "1".repeat(10), "b": "2".repeat(10)});
    let fits = concat!(
        "------------------------------\n",
        "|              T             |\n",
        "+-------------+--------------+\n",
        "|      a      |      b       |\n",
        "+-------------+--------------+\n",
        "|  1111111111 |  2222222222  |\n",
        "+-------------+--------------+\n",
    );
    assert_eq!(table(&value, 30), fits);
    let turned = concat!(
        "---------------------\n",
        "|         T         |\n",
        "+----+--------------+\n",
        "|  a |  1111111111  |\n",
        "|  b |  2222222222  |\n",
        "+----+--------------+\n",
    );
    assert_eq!(table(&value, 29), turned);
}

#[test]
fn what_no_table_can_show_is_told() {
    let refused = |value: Value| render("T", &value, false, 80).unwrap_err();
    assert_eq!(
        refused(json!([["a"], ["b", "c"]])),
        "Row should have 1 elements, instead it has 2"
    );
    assert!(refused(json!([{"a": 1}, "b"])).contains("mixes structures"));
}

#[test]
fn wide_characters_take_two_places() {
    assert_eq!(text_width("a\u{4e2d}\u{ff21}\u{e9}"), 7);
}
