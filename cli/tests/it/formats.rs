//! Output in every format, as the AWS CLI 1.46.3 prints the same.

use crate::support::offline;

const TEXT: &str = concat!(
    "None\n",
    "NESTED\ta\n",
    "NESTED\tb\n",
    "NESTED\tc\n",
    "ROWS\t1\tx\t\n",
    "ROWS\t2.5\t\tTrue\n",
    "SESSION\tSessionId\n",
    "LIST\ta\n",
    "LIST\tb\n",
);

const TABLE: &str = concat!(
    "---------------------------\n",
    "|CreateFaceLivenessSession|\n",
    "+--------------+----------+\n",
    "|  nothing     |  None    |\n",
    "+--------------+----------+\n",
    "||        nested         ||\n",
    "|+-----------------------+|\n",
    "||  a                    ||\n",
    "||  b                    ||\n",
    "||  c                    ||\n",
    "|+-----------------------+|\n",
    "||         rows          ||\n",
    "|+-------+-----+---------+|\n",
    "||   n   |  s  |    t    ||\n",
    "|+-------+-----+---------+|\n",
    "||  1    |  x  |         ||\n",
    "||  2.5  |     |  True   ||\n",
    "|+-------+-----+---------+|\n",
    "||        session        ||\n",
    "|+------+----------------+|\n",
    "||  id  |  SessionId     ||\n",
    "|+------+----------------+|\n",
    "|||        list         |||\n",
    "||+---------------------+||\n",
    "|||  a                  |||\n",
    "|||  b                  |||\n",
    "||+---------------------+||\n",
);

const JSON: &str = concat!(
    "{\n",
    "    \"session\": {\n",
    "        \"id\": \"SessionId\",\n",
    "        \"list\": [\n",
    "            \"a\",\n",
    "            \"b\"\n",
    "        ]\n",
    "    },\n",
    "    \"rows\": [\n",
    "        {\n",
    "            \"n\": 1,\n",
    "            \"s\": \"x\"\n",
    "        },\n",
    "        {\n",
    "            \"n\": 2.5,\n",
    "            \"t\": true\n",
    "        }\n",
    "    ],\n",
    "    \"empty\": [],\n",
    "    \"nothing\": null,\n",
    "    \"nested\": [\n",
    "        [\n",
    "            \"a\",\n",
    "            [\n",
    "                \"b\"\n",
    "            ]\n",
    "        ],\n",
    "        [\n",
    "            \"c\"\n",
    "        ]\n",
    "    ]\n",
    "}\n",
);

const COLOURED: &str = concat!(
    "---------------------------\n",
    "\u{1b}[0m\u{1b}[0m|CreateFaceLivenessSession|\u{1b}[0m\u{1b}[0m\n",
    "\u{1b}[0m\u{1b}[0m+-------------------------+\u{1b}[0m\u{1b}[0m\n",
    "\u{1b}[0m\u{1b}[2m\u{1b}[33m|\u{1b}[0m\u{1b}[0m|           s           |\u{1b}[0m\u{1b}[2m\u{1b}[33m|\u{1b}[0m\u{1b}[0m\n",
    "\u{1b}[0m\u{1b}[2m\u{1b}[33m|\u{1b}[0m\u{1b}[0m+------+----------------+\u{1b}[0m\u{1b}[2m\u{1b}[33m|\u{1b}[0m\u{1b}[0m\n",
    "\u{1b}[0m\u{1b}[2m\u{1b}[33m|\u{1b}[0m\u{1b}[0m|  \u{1b}[1m\u{1b}[34mid\u{1b}[0m  |  \u{1b}[1m\u{1b}[34mSessionId\u{1b}[0m     |\u{1b}[0m\u{1b}[2m\u{1b}[33m|\u{1b}[0m\u{1b}[0m\n",
    "\u{1b}[0m\u{1b}[2m\u{1b}[33m|\u{1b}[0m\u{1b}[0m+------+----------------+\u{1b}[0m\u{1b}[2m\u{1b}[33m|\u{1b}[0m\u{1b}[0m\n",
    "\u{1b}[0m",
);

/// An answer of everything, by a query that needs no gateway.
const EVERYTHING: &str = "{session: {id: SessionId, list: ['a', 'b']}, rows: [{n: `1`, s: 'x'}, \
    {n: `2.50`, t: `true`}], empty: `[]`, nothing: `null`, nested: [['a', ['b']], ['c']]}";

async fn print(options: &[&str]) -> String {
    let always = ["create", "--generate-cli-skeleton", "output"];
    offline(always.iter().chain(options)).await.good()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn text_is_that_of_the_aws_cli() {
    let printed = print(&["--output", "text", "--query", EVERYTHING]).await;
    assert_eq!(printed, TEXT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tables_are_those_of_the_aws_cli() {
    let printed = print(&["--output", "table", "--query", EVERYTHING]).await;
    assert_eq!(printed, TABLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn json_is_that_of_the_aws_cli() {
    let printed = print(&["--query", EVERYTHING]).await;
    assert_eq!(printed, JSON);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tables_are_in_colour_if_asked_for() {
    let printed = print(&[
        "--output",
        "table",
        "--query",
        "{s: {id: SessionId}}",
        "--color",
        "on",
    ])
    .await;
    assert_eq!(printed, COLOURED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_table_that_no_table_can_show_is_told() {
    let always = [
        "create",
        "--generate-cli-skeleton",
        "output",
        "--output",
        "table",
    ];
    let ran = offline(always.iter().chain(&["--query", "[['a'], ['b', 'c']]"])).await;
    assert_eq!(ran.status, 255);
    assert_eq!(
        ran.stderr,
        "\nRow should have 1 elements, instead it has 2\n"
    );
}
