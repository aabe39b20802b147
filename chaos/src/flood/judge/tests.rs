//! Small histories whose figures can be counted by hand.

use super::*;

fn judge(limit: Limit, length_s: f64, fault_s: Option<f64>) -> Judge {
    Judge::new(Rules {
        limits: vec![limit],
        nodes: 2,
        clock: 1.0,
        length_ns: ns(length_s),
        warm_ns: 0,
        fault_ns: fault_s.map(ns),
    })
}

/// Twice what the limit allows for 10 s, of which `admits` decides by number.
fn offered_twice(judge: &mut Judge, admits: impl Fn(u64) -> bool) {
    for number in 0..2_000 {
        let at = number * 5 * MS;
        judge.offer(0, (number % 2) as usize, at);
        if admits(number) {
            judge.admit(0, (number % 2) as usize, at);
        }
    }
}

#[test]
fn an_ideal_limiter_is_ideal() {
    let mut judge = judge(Limit { rate: 100.0, burst: 10.0 }, 10.0, None);
    let mut level = Level::of(10.0);
    let decisions: Vec<bool> =
        (0..2_000).map(|number| level.take(Limit { rate: 100.0, burst: 10.0 }, number * 5 * MS)).collect();
    offered_twice(&mut judge, |number| decisions[number as usize]);
    let figures = judge.figures();
    assert_eq!(figures.get(Figure::Over), 0.0);
    assert_eq!(figures.get(Figure::ExcessTokens), 0.0);
    assert_eq!(figures.get(Figure::Fill), 100.0);
    assert_eq!(judge.endings()[0].excess, 0.0);
}

#[test]
fn one_that_admits_everything_is_over() {
    let mut judge = judge(Limit { rate: 100.0, burst: 10.0 }, 10.0, None);
    offered_twice(&mut judge, |_| true);
    let figures = judge.figures();
    assert!((figures.get(Figure::Over) - 98.0).abs() < 1.0, "{}", figures.get(Figure::Over));
    assert!((figures.get(Figure::ExcessTokens) - 990.0).abs() < 2.0);
    assert!((figures.get(Figure::ExcessSeconds) - 9.9).abs() < 0.1);
}

#[test]
fn one_that_admits_on_one_node_is_unfair_and_leaves_room() {
    let mut judge = judge(Limit { rate: 100.0, burst: 10.0 }, 10.0, None);
    offered_twice(&mut judge, |number| number % 4 == 0);
    let figures = judge.figures();
    assert!((figures.get(Figure::Fill) - 49.5).abs() < 1.0, "{}", figures.get(Figure::Fill));
    assert!((figures.get(Figure::Unfairness) - 25.0).abs() < 0.5, "{}", figures.get(Figure::Unfairness));
}

#[test]
fn an_outage_is_recovered_from() {
    let mut judge = judge(Limit { rate: 100.0, burst: 10.0 }, 10.0, Some(2.0));
    offered_twice(&mut judge, |number| number % 2 == 0 && !(400..700).contains(&number));
    let figures = judge.figures();
    assert!((figures.get(Figure::Recovery) - 1.5).abs() < 0.26, "{}", figures.get(Figure::Recovery));
    assert!(figures.get(Figure::FillAfterFault) < figures.get(Figure::Fill));
}

#[test]
fn modest_clients_must_not_be_refused() {
    let mut judge = judge(Limit { rate: 1_000.0, burst: 10.0 }, 10.0, None);
    offered_twice(&mut judge, |number| number % 100 != 0);
    assert!((judge.figures().get(Figure::FalseRejects) - 1.0).abs() < 1e-9);
}

#[test]
fn quotas_start_over() {
    let mut judge = judge(Limit { rate: 0.0, burst: 5.0 }, 10.0, None);
    (0..5).for_each(|at| judge.admit(0, 0, at));
    assert_eq!(judge.endings()[0].excess, 0.0);
    judge.start_over(0);
    (5..11).for_each(|at| judge.admit(0, 0, at));
    assert_eq!(judge.endings()[0].excess, 1.0);
}

#[test]
fn waits_are_ranked() {
    let mut judge = judge(Limit { rate: 1.0, burst: 5.0 }, 1.0, None);
    (0..98).for_each(|_| judge.wait(0));
    (0..2).for_each(|_| judge.wait(20 * MS));
    let figures = judge.figures();
    assert_eq!(
        [Figure::WaitP50, Figure::WaitP99, Figure::Waited].map(|figure| figures.get(figure)),
        [0.0, 20.0, 2.0]
    );
}
