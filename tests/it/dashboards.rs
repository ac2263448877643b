//! The dashboard and the rules in deploy/ ask for what a gateway shows: every
//! metric, label and value in their queries. (That they are valid PromQL and alert
//! when they should, deploy/prometheus/check tries.)

use std::collections::{BTreeMap, BTreeSet};

use face_liveness_client::v1::CreateSessionRequest;
use rekognition_emulator::Fault;
use saphyr::{LoadableYamlNode as _, Yaml};

use crate::http::get;
use crate::support::{ONE_REGION, Running, emulator};

const DASHBOARD: &str = include_str!("../../deploy/grafana/dashboard.json");
const RULES: &str = include_str!("../../deploy/prometheus/rules.yaml");
const README: &str = include_str!("../../README.md");

/// A node of a document; JSON is YAML, too.
type Node = Yaml<'static>;

/// What Prometheus adds to every series.
const ADDED: [&str; 2] = ["instance", "job"];

/// The names of each metric's labels, and their values.
type Shown = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What a gateway shows that has done everything that adds series.
async fn shown() -> Shown {
    let emulator = emulator().await;
    let toml = format!("quota_store = 'redis://127.0.0.1:9'\n{ONE_REGION}");
    let gateway = Running::configured(&emulator, &toml).await;
    let create = || gateway.create(CreateSessionRequest::default());
    create().await.unwrap();
    emulator.set_faults([Fault::access_denied().times(1)]);
    create().await.unwrap_err();
    emulator.set_faults([Fault::throttling().times(1)]);
    create().await.unwrap();

    let mut shown = Shown::new();
    for line in get(gateway.admin, "/metrics").await.body.lines() {
        if line.starts_with('#') {
            continue;
        }
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let metric = shown.entry(name.to_owned()).or_default();
        for (label, _, value) in matchers(labels.strip_suffix('}').unwrap()) {
            metric.entry(label).or_default().insert(value);
        }
    }
    shown
}

/// A metric as a query names it, with what its labels are to be.
#[derive(Debug)]
struct Selector {
    metric: String,
    matchers: Vec<Matcher>,
}

/// A label, an operator and a value.
type Matcher = (String, String, String);

/// The matchers between braces. No value of ours has an escape in it.
fn matchers(text: &str) -> Vec<Matcher> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((left, behind)) = rest.split_once('"') {
        let (value, behind) = behind.split_once('"').unwrap();
        let left = left.trim_start_matches([',', ' ']);
        let operator = left.trim_start_matches(is_of_name);
        let label = left.strip_suffix(operator).unwrap();
        found.push((label.to_owned(), operator.to_owned(), value.to_owned()));
        rest = behind;
    }
    found
}

/// The selectors of a query, and the labels that it groups by.
fn read(query: &str) -> (Vec<Selector>, BTreeSet<String>) {
    let (mut selectors, mut grouped) = (Vec::new(), BTreeSet::new());
    let mut rest = query;
    while let Some(start) = rest.find(is_of_name) {
        let is_variable = rest[..start].ends_with('$');
        let from = &rest[start..];
        let end = from.find(|c| !is_of_name(c)).unwrap_or(from.len());
        let (word, behind) = from.split_at(end);
        rest = behind;
        let next = behind.trim_start();
        if matches!(word, "by" | "without" | "on" | "ignoring") {
            let (labels, behind) = within(next, '(', ')');
            grouped.extend(labels.split(',').map(|label| label.trim().to_owned()));
            rest = behind;
        } else if word.contains(['_', ':']) && !next.starts_with('(') && !is_variable {
            let braces = if behind.starts_with('{') {
                behind
            } else {
                "{}"
            };
            let (labels, _) = within(braces, '{', '}');
            selectors.push(Selector {
                metric: word.to_owned(),
                matchers: matchers(labels),
            });
        }
        if rest.starts_with('{') {
            rest = within(rest, '{', '}').1;
        }
    }
    (selectors, grouped)
}

/// What stands between two brackets at the beginning, and what follows them.
fn within(text: &str, open: char, close: char) -> (&str, &str) {
    let inner = text.strip_prefix(open).unwrap();
    inner.split_once(close).unwrap()
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

/// What is wrong with a query, and the labels that its result may have.
fn check(query: &str, shown: &Shown, recorded: &BTreeMap<String, String>) -> BTreeSet<String> {
    let (selectors, grouped) = read(query);
    let mut labels: BTreeSet<_> = ADDED.map(str::to_owned).into();
    for Selector { metric, matchers } in &selectors {
        if let Some(query) = recorded.get(metric) {
            labels.extend(check(query, shown, recorded));
        } else if let Some(shown) = shown.get(metric) {
            assert_matches(metric, matchers, shown);
            labels.extend(shown.keys().cloned());
        } else {
            let row = row_of(metric);
            assert!(row.contains("Only with"), "nobody shows {metric}: {query}");
        }
    }
    let unknown: Vec<_> = grouped.difference(&labels).collect();
    assert!(unknown.is_empty(), "no label {unknown:?}: {query}");
    labels
}

/// A value is one that was shown, or that the README lists.
fn assert_matches(metric: &str, matchers: &[Matcher], shown: &BTreeMap<String, BTreeSet<String>>) {
    for (label, operator, value) in matchers {
        if ADDED.contains(&label.as_str()) {
            continue;
        }
        let values = shown.get(label);
        let values = values.unwrap_or_else(|| panic!("{metric} has no label {label}"));
        let is_any = value.is_empty() || value.starts_with('$');
        let wanted: Vec<&str> = match operator.as_str() {
            _ if is_any => Vec::new(),
            "=~" | "!~" => value.split('|').collect(),
            _ => vec![value],
        };
        for value in wanted {
            let listed = row_of(metric).contains(&format!("`{value}`"));
            assert!(
                listed || values.contains(value),
                "{metric} has no {label} {value:?}"
            );
        }
    }
}

/// The README's row about a metric.
fn row_of(metric: &str) -> &'static str {
    let suffixes = ["_bucket", "_sum", "_count"];
    let base = suffixes
        .iter()
        .find_map(|suffix| metric.strip_suffix(suffix));
    let rows = [Some(metric), base]
        .into_iter()
        .flatten()
        .filter_map(|name| {
            let start = format!("| `{name}` |");
            README.lines().find(|line| line.starts_with(&start))
        });
    rows.into_iter().next().unwrap_or_default()
}

/// The text of every member with this name, however deep.
fn members<'a>(node: &'a Node, name: &str) -> Vec<&'a str> {
    if let Some(items) = node.as_sequence() {
        return items.iter().flat_map(|item| members(item, name)).collect();
    }
    let map = node.as_mapping().into_iter().flatten();
    map.flat_map(|(key, value)| match value.as_str() {
        Some(text) if key.as_str() == Some(name) => vec![text],
        _ => members(value, name),
    })
    .collect()
}

/// The labels in `{{label}}` and `{{ $labels.label }}`.
fn templated(text: &str) -> BTreeSet<String> {
    let inner = text.split("{{").skip(1).filter_map(|rest| {
        let (inner, _) = rest.split_once("}}")?;
        let inner = inner.trim();
        match inner.strip_prefix('$') {
            // The other variable is `$value`, mostly put through a function.
            Some(variable) => variable.strip_prefix("labels."),
            None => Some(inner),
        }
    });
    inner.map(str::to_owned).collect()
}

fn document(text: &'static str) -> Node {
    Yaml::load_from_str(text).unwrap().remove(0)
}

fn items<'a>(node: &'a Node, name: &str) -> &'a [Node] {
    let items = node.as_mapping_get(name).and_then(Yaml::as_sequence);
    items.map_or(&[], Vec::as_slice)
}

fn text<'a>(node: &'a Node, name: &str) -> &'a str {
    let text = node.as_mapping_get(name).and_then(Yaml::as_str);
    text.unwrap_or_else(|| panic!("no {name} in {node:?}"))
}

fn rules() -> Vec<Node> {
    let rules = document(RULES);
    let groups = items(&rules, "groups").iter();
    groups
        .flat_map(|group| items(group, "rules").to_vec())
        .collect()
}

fn alerts() -> Vec<Node> {
    let mut rules = rules();
    rules.retain(|rule| !rule.contains_mapping_key("record"));
    rules
}

/// The queries of the recording rules by the names of what they record.
fn recorded(rules: &[Node]) -> BTreeMap<String, String> {
    let recording = rules
        .iter()
        .filter(|rule| rule.contains_mapping_key("record"));
    recording
        .map(|rule| {
            (
                text(rule, "record").to_owned(),
                text(rule, "expr").to_owned(),
            )
        })
        .collect()
}

#[tokio::test]
async fn the_rules_ask_for_what_a_gateway_shows() {
    let (shown, rules) = (shown().await, rules());
    let recorded = recorded(&rules);
    assert!(recorded.len() < rules.len());
    for rule in &rules {
        let labels = check(text(rule, "expr"), &shown, &recorded);
        let annotations = ["summary", "description", "action"];
        for annotation in annotations.map(|name| members(rule, name)).concat() {
            let named = templated(annotation);
            assert!(named.is_subset(&labels), "no label {named:?}: {rule:?}");
        }
    }
}

#[test]
fn every_alert_says_what_happened_what_it_means_and_what_to_do() {
    for rule in &alerts() {
        assert!(text(rule, "alert").starts_with("FaceLiveness"));
        assert!(["critical", "warning"].contains(&text(&rule["labels"], "severity")));
        for annotation in ["summary", "description", "action"] {
            assert!(!text(&rule["annotations"], annotation).is_empty());
        }
    }
}

#[test]
fn the_readme_lists_every_alert_with_its_severity() {
    let listed = README
        .lines()
        .filter(|line| line.starts_with("| `FaceLiveness"));
    let listed: Vec<_> = listed
        .map(|row| {
            let mut cells = row.split('|').skip(1).map(str::trim);
            let name = cells.next().unwrap().trim_matches('`');
            (name.to_owned(), cells.next().unwrap().to_owned())
        })
        .collect();
    let alerts: Vec<_> = alerts()
        .iter()
        .map(|rule| {
            let severity = text(&rule["labels"], "severity");
            (text(rule, "alert").to_owned(), severity.to_owned())
        })
        .collect();
    assert_eq!(listed, alerts);
}

#[tokio::test]
async fn the_dashboard_asks_for_what_a_gateway_shows() {
    let shown = shown().await;
    let dashboard = document(DASHBOARD);
    let panels = items(&dashboard, "panels").iter();
    for target in panels.flat_map(|panel| items(panel, "targets")) {
        let query = text(target, "expr");
        let labels = check(query, &shown, &BTreeMap::new());
        let named = templated(text(target, "legendFormat"));
        assert!(named.is_subset(&labels), "no label {named:?}: {query}");
    }
    let queries = [members(&dashboard, "expr"), members(&dashboard, "query")].concat();
    assert!(queries.len() > 30);
    for query in queries {
        check(query, &shown, &BTreeMap::new());
    }
}

#[tokio::test]
#[should_panic(expected = "nobody shows face_liveness_calls_total")]
async fn a_metric_that_there_is_not_is_found() {
    let query = "sum by (region) (rate(face_liveness_calls_total[5m]))";
    check(query, &shown().await, &BTreeMap::new());
}

#[tokio::test]
#[should_panic(expected = r#"no label ["zone"]"#)]
async fn a_label_that_there_is_not_is_found() {
    let query = "sum by (zone) (rate(face_liveness_sessions_total[5m]))";
    check(query, &shown().await, &BTreeMap::new());
}

#[tokio::test]
#[should_panic(expected = r#"has no outcome "throttle""#)]
async fn a_value_that_there_is_not_is_found() {
    let query =
        r#"rate(face_liveness_upstream_duration_seconds_count{outcome=~"made|throttle"}[5m])"#;
    check(query, &shown().await, &BTreeMap::new());
}
