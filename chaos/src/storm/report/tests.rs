//! A made-up run in each of the three forms.

use super::*;
use crate::{
    clock::Span,
    lab::site::Ground,
    storm::{catalog::SCENARIOS, measure::tests::sound},
};

fn report() -> Report {
    let (name, text) = SCENARIOS[1];
    let scenario = Scenario::parse(name, text, false).unwrap();
    let options = Options {
        seed: 7,
        program: "tidegate".into(),
        upgrade_to: None,
        data: "data".into(),
        loopback: false,
    };
    let mut evidence = sound();
    let told = "power loss of r1b <leader> & co".to_owned();
    let span = Span { from_us: 10_000_000, to_us: 20_000_000 };
    evidence.happened = vec![Happened { fault: "power-loss", told, span, unavailable_ms: 100.0 }];
    evidence.notes = vec![(10_000_000, "a \"note\"".into())];
    evidence.skipped = vec!["clocks: none".into()];
    evidence.findings.lost = 1;
    Report::new(
        &scenario,
        &options,
        "chaos storm x --seed 7".into(),
        Ground::Namespaces,
        Cost::default(),
        &evidence,
    )
}

#[test]
fn a_page_needs_nothing_else() {
    let page = html::page(&[report(), report()]);
    for outside in ["<script", "src=", "href=\"http", "url(", "@import", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for part in [
        "<svg",
        "power loss of r1b &lt;leader&gt; &amp; co",
        "chaos storm x --seed 7",
        "BROKEN",
        "a &quot;note&quot;",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("<table").count(), page.matches("</table>").count());
}

#[test]
fn a_table_tells_the_promises_and_how_to_repeat_it() {
    let text = report().text();
    for part in [
        "seed 7",
        "BROKEN  all",
        "not rehearsed: clocks: none",
        "BROKEN; again: chaos storm x --seed 7",
        "longest without an answer 100 ms",
        "this tool itself stood still 0 times",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_document_has_every_figure() {
    let json = serde_json::to_value(report()).unwrap();
    assert_eq!(
        (&json["outcome"], &json["seed"], &json["findings"]["lost"]),
        (&"broken".into(), &7.into(), &1.into())
    );
    let right: u64 = json["timeline"]["right"].as_array().unwrap().iter().filter_map(|n| n.as_u64()).sum();
    assert_eq!(right, 300);
    let rows = json["clients"].as_array().unwrap();
    assert_eq!((rows.len(), rows[0]["total"].as_u64()), (1, Some(300)));
}
