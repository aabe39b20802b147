//! Frames, patterns, and what in-place access saves.

use std::time::Instant;

use rkyv::rancor;
use tidegate_proto::{
    compiled::{ArchivedStageV1, StageV1},
    document::Stage,
};

use super::{LoadError, StageTable, StatusSet};
use crate::testing::{definition, http_proxy};

#[test]
fn patterns_match_the_whole_status() {
    for (pattern, inside, outside) in [
        ("200", vec![200], vec![20, 201, 500]),
        ("4\\d{2}", vec![400, 404, 499], vec![200, 500, 44]),
        ("2..|3..", vec![200, 399], vec![400]),
        ("5", vec![], vec![500, 555]),
        (".*", vec![0, 200, 599, 639], vec![640, 9_999]),
        ("200|", vec![200], vec![404]),
    ] {
        let set = StatusSet::parse(pattern).unwrap();
        assert!(inside.iter().all(|status| set.contains(*status)), "{pattern}");
        assert!(!outside.iter().any(|status| set.contains(*status)), "{pattern}");
    }
    assert!(StatusSet::parse("(").is_err());
}

#[test]
fn frame_round_trip() {
    let definition = definition(&[("/{proxy+}", "ANY", Some(http_proxy("https://up/{proxy}")))]);
    let table =
        StageTable::compile(&definition, &Stage { stage_name: "dev".into(), ..Stage::default() }).unwrap();
    let frame = table.frame().unwrap();
    let again = StageTable::from_frame(&frame).unwrap();
    assert_eq!((again.api(), again.name()), ("api1", "dev"));
    assert_eq!(again.routes().collect::<Vec<_>>(), [("/{proxy+}", "ANY")]);
    assert!(matches!(StageTable::from_frame(&frame[1..]), Err(LoadError::Frame(_))));
}

/// The gain that justifies `archive.rs`; printed, because a shared machine cannot judge it.
#[test]
#[allow(clippy::disallowed_methods, reason = "a timing is the output, and nothing depends on it")]
fn in_place_against_owned() {
    let paths: Vec<String> = (0..5_000).map(|at| format!("/service-{at}/{{id}}")).collect();
    let mut whole = definition(&[]);
    for path in &paths {
        let one = [(path.as_str(), "GET", Some(http_proxy("http://up/{id}")))];
        whole.resources.append(&mut definition(&one).resources);
    }
    let table = StageTable::compile(&whole, &Stage::default()).unwrap();
    let bytes = table.archive.bytes();
    let time = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    let mut owned = None;
    let validate = time(&mut || _ = rkyv::access::<ArchivedStageV1, rancor::Error>(bytes).unwrap());
    let deserialize = time(&mut || owned = rkyv::deserialize::<StageV1, rancor::Error>(table.stage()).ok());
    assert!(owned.is_some());
    let free = time(&mut || owned = None);
    eprintln!(
        "5000 routes, {} bytes: validate {validate:?}; owned: build {deserialize:?}, free {free:?}",
        bytes.len()
    );
}
