//! Stored answers as operators see them, what is counted, and when a node may not serve what it has stored. On both lines where it
//! matters.

use tidegate_proto::peer::{CacheEntryV1, CacheLookV1, CacheTopV1};

use super::*;

const AWS: CacheModeV1 = CacheModeV1::Aws;

fn plain(direct: bool, own: StageCacheV1) -> Cached {
    Cached::new(direct, own, |number, request| {
        text(number, if request.contains("/tagged") { "Cache-Tag: red, round\r\n" } else { "" })
    })
}

fn top(cached: &Cached, count: u32, stage: &str) -> Vec<CacheEntryV1> {
    let question = CacheTopV1 { count, stage: stage.into(), ..CacheTopV1::default() };
    cached.room.handle.cache_top(&question, 0).entries
}

fn look(cached: &Cached, path: &str, query: &str) -> usize {
    let (path, query) = (path.into(), query.into());
    let question = CacheLookV1 { api: "api1".into(), stage: "dev".into(), path, query };
    cached.room.handle.cache_look(&question, 0).len()
}

#[test]
fn what_is_stored_is_told_most_used_first() {
    let cached = plain(true, stage(method(AWS)));
    let heads = ["GET /dev/a?q=1", "GET /dev/a?q=2", "GET /dev/a\nX-Lang: de", "GET /dev/tagged"];
    answers(&cached, &heads);
    // Shards tell of every so many hits at once.
    (0..70).for_each(|_| _ = answers(&cached, &["GET /dev/tagged"]));
    eventually("the hits are told", || top(&cached, 1, "")[0].hits >= 64);
    let first = &top(&cached, 9, "dev")[0];
    let named = (first.api.as_str(), first.stage.as_str(), first.verb.as_str(), first.status);
    assert_eq!(named, ("api1", "dev", "GET", 200));
    assert_eq!((first.resource.as_str(), first.path.as_str()), ("/{proxy+}", "/tagged"));
    assert_eq!((first.tags.clone(), first.ttl_s), (vec!["red".to_owned(), "round".to_owned()], 300));
    assert!(first.bytes > 512);
    assert_eq!(
        (top(&cached, 9, "").len(), top(&cached, 2, "").len(), top(&cached, 9, "nope").len()),
        (4, 2, 0)
    );
    for (path, query, expect) in [
        ("/a", "", 3),
        ("/a", "q=1", 1),
        ("/a", "z&q=2", 1),
        ("/a", "q=3", 0),
        ("/tagged", "q=1", 0),
        ("/b", "", 0),
    ] {
        assert_eq!(look(&cached, path, query), expect, "{path}?{query}");
    }
    let purge = PurgeV1 { sequence: 1, tag: "red".into(), ..PurgeV1::default() };
    let own = StageCacheV1 { sequence: 1, purges: vec![purge], ..stage(method(AWS)) };
    cached.room.handle.publish(Arc::new(super::cached(2, &cached.upstream, own)));
    assert_eq!(
        (top(&cached, 9, "").len(), look(&cached, "/tagged", "")),
        (3, 0),
        "what was purged is not told"
    );
}

#[test]
fn what_the_cache_did_is_counted() {
    for direct in [true, false] {
        let cached = plain(direct, stage(method(AWS)));
        answers(
            &cached,
            &["GET /dev/a", "GET /dev/a", "GET /dev/a", "GET /dev/a\nCookie: a=b", "GET /dev/b"],
        );
        let count = |name: &str| {
            let text = cached.room.registry.render();
            let line = format!("tidegate_cache_{name}_total{{");
            text.lines().find(|found| found.starts_with(&line))?.rsplit(' ').next()?.parse::<u64>().ok()
        };
        // A connection is metered once its answer has left.
        eventually("all are counted", || count("misses") == Some(2) && count("hits") == Some(2));
        let found = ["stale", "coalesced", "bypassed"].map(count);
        assert_eq!(found, [Some(0), Some(0), Some(1)], "direct {direct}");
        let held = cached.room.handle.cache_top(&CacheTopV1::default(), 0);
        let stage = held.stages.first().unwrap();
        assert_eq!((stage.hits, stage.misses, stage.bypassed, stage.entries), (2, 2, 1, 2));
        assert!(held.entries.is_empty(), "none was asked for");
    }
}

#[test]
fn a_node_that_may_have_missed_a_flush_serves_nothing_that_it_has_stored() {
    for direct in [true, false] {
        let head = "GET /dev/a";
        let cached = plain(direct, stage(method(AWS)));
        let bold = plain(direct, StageCacheV1 { serves_isolated: true, ..stage(method(AWS)) });
        assert_eq!((answers(&cached, &[head; 2]), answers(&bold, &[head; 2])), (vec![1, 1], vec![1, 1]));
        for room in [&cached.room, &bold.room] {
            room.handle.set_cache_current_until(0);
            assert!(!room.handle.is_cache_current(1));
        }
        assert_eq!(
            (answers(&cached, &[head; 3]), answers(&bold, &[head; 3])),
            (vec![2, 3, 4], vec![1, 1, 1])
        );
        let asked = cached.ask("GET /dev/a\nx-tidegate-cache-status: 1");
        assert_eq!(asked.header("cache-status"), Some("tidegate; fwd=bypass; ttl=300; stored"));
        cached.room.handle.set_cache_current_until(u64::MAX);
        assert_eq!(answers(&cached, &[head; 2]), [5, 5], "what it fetched meanwhile is the newest");
    }
}

#[test]
fn a_node_that_may_have_missed_a_flush_lets_nobody_wait_for_an_older_call() {
    let cached = Cached::new(true, stage(method(AWS)), |number, _| {
        thread::sleep(Duration::from_millis(if number == 1 { 400 } else { 0 }));
        text(number, "")
    });
    let mut first = cached.room.connect();
    first.send("GET /dev/a HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n");
    eventually("the upstream is called", || cached.calls() == 1);
    cached.room.handle.set_cache_current_until(0);
    assert_eq!(answers(&cached, &["GET /dev/a"]), [2]);
}

#[test]
fn who_comes_after_a_purge_is_not_handed_what_was_asked_for_before() {
    for direct in [true, false] {
        let cached = Cached::new(direct, stage(method(AWS)), |number, _| {
            thread::sleep(Duration::from_millis(if number == 1 { 400 } else { 0 }));
            text(number, "")
        });
        let mut first = cached.room.connect();
        first.send("GET /dev/a HTTP/1.1\r\nHost: api1.execute-api.local\r\n\r\n");
        eventually("the upstream is called", || cached.calls() == 1);
        let purge = PurgeV1 { sequence: 1, prefix: "/a".into(), ..PurgeV1::default() };
        let own = StageCacheV1 { sequence: 1, purges: vec![purge], ..stage(method(AWS)) };
        cached.room.handle.publish(Arc::new(super::cached(2, &cached.upstream, own)));
        assert_eq!(answers(&cached, &["GET /dev/a", "GET /dev/a"]), [2, 2], "direct {direct}");
    }
}
