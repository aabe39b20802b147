//! Clients against small servers of their own, right and wrong ones.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// How a server treats a request.
#[derive(Clone, Copy)]
enum Manner {
    Echoes,
    Mixes,
    Closes,
    Sleeps,
    Fails,
}

async fn server(manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 1_024];
                while let Ok(length @ 1..) = stream.read(&mut head).await {
                    let text = String::from_utf8_lossy(&head[..length]).into_owned();
                    let token = text.lines().find_map(|line| line.strip_prefix("x-storm-token: ")).unwrap();
                    let (status, body) = match manner {
                        Manner::Echoes => (200, token.to_owned()),
                        Manner::Mixes => (200, format!("{token}0")),
                        Manner::Fails => (502, String::new()),
                        Manner::Closes => return,
                        Manner::Sleeps => return sleep(Duration::from_secs(60)).await,
                    };
                    let length = body.len();
                    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

/// Outcomes of a short stream against these doors, and where its requests entered.
async fn outcomes(doors: &[SocketAddr]) -> Vec<(Outcome, Option<Site>)> {
    let site = |az: usize| Site::Az { region: 0, az: az as u8 };
    let doors = doors.iter().enumerate().map(|(az, address)| (site(az), *address)).collect();
    let asking =
        Asking { class: Class::Get, region: 0, doors, path: "/".into(), post_percent: 50, per_s: 100 };
    let (stop, stopped) = watch::channel(false);
    let book = Book::default();
    let stream = Stream::start(asking, Clock::start(), book.clone(), stopped);
    sleep(Duration::from_millis(200)).await;
    stop.send_replace(true);
    stream.finish().await;
    let pages = book.pages();
    assert!(pages.records.iter().any(|record| record.class == Class::Post));
    pages.records.iter().map(|record| (record.outcome, record.entry)).collect()
}

#[tokio::test]
async fn outcomes_are_told_apart() {
    for (manner, expect) in [
        (Manner::Echoes, Outcome::Right),
        (Manner::Mixes, Outcome::Wrong),
        (Manner::Closes, Outcome::Reset),
        (Manner::Sleeps, Outcome::Silent),
        (Manner::Fails, Outcome::Gateway(502)),
    ] {
        let seen = outcomes(&[server(manner).await]).await;
        assert!(
            seen.len() >= 10 && seen.iter().all(|(outcome, _)| *outcome == expect),
            "{expect:?}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn the_next_address_is_tried_only_where_nothing_was_sent() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let second = Some(Site::Az { region: 0, az: 1 });
    let seen = outcomes(&[nobody, server(Manner::Echoes).await]).await;
    assert!(seen.iter().all(|end| *end == (Outcome::Right, second)), "{seen:?}");
    let seen = outcomes(&[server(Manner::Closes).await, server(Manner::Echoes).await]).await;
    assert!(seen.iter().any(|(outcome, _)| *outcome == Outcome::Reset), "{seen:?}");
    let seen = outcomes(&[nobody]).await;
    assert!(seen.iter().all(|end| *end == (Outcome::Unconnected, None)), "{seen:?}");
}

#[test]
fn a_revision_is_whole_or_none() {
    for (body, expect) in
        [("7|7", Some(7)), ("12|12\n", Some(12)), ("7|8", None), ("7", None), ("a|a", None), ("", None)]
    {
        assert_eq!(revision_of(body.as_bytes()), expect, "{body:?}");
    }
}

#[test]
fn an_older_revision_is_seen() {
    let doors = Doors::new(vec![(Site::Observer, "127.0.0.1:1".parse().unwrap())]);
    let (door, _) = doors.door(0);
    for (revision, expect) in [(5, true), (6, true), (5, true), (4, false), (9, true), (6, false)] {
        assert_eq!(door.sees(revision), expect, "{revision}");
    }
}
