//! Files that are not as they were written.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;

#[test]
fn a_torn_tail_is_cut() {
    let mut rig = Rig::new(1 << 24);
    rig.write(&[answer(b"whole", b"1")]);
    let kept = rig.files()[0].1.len();
    rig.write(&[answer(b"torn", b"2")]);
    rig.kill();
    let (path, bytes) = rig.files().remove(0);
    for length in (kept..bytes.len()).rev().step_by(7) {
        fs::write(&path, &bytes[..length]).unwrap();
        rig.open(NOW_MS + 10_000);
        assert_eq!(fs::metadata(&path).unwrap().len(), kept as u64, "{length} bytes");
        assert!(rig.find(b"torn").is_none());
        assert_eq!(rig.find(b"whole").unwrap().body, "1");
        rig.kill();
    }
}

/// What an earlier process left.
struct Left {
    files: Vec<(String, Vec<u8>)>,
    /// Every body that an answer ever had, the valid one last.
    bodies: Vec<(u32, Vec<Vec<u8>>)>,
}

/// Answers in several files, some of them replaced, and one that was made invalid.
fn left() -> &'static Left {
    static LEFT: OnceLock<Left> = OnceLock::new();
    LEFT.get_or_init(|| {
        let mut rig = Rig::new(1 << 18);
        let body = |nth: u32, age: u32| vec![(16 * age + nth) as u8; 700 + nth as usize];
        for age in 0..3 {
            for nth in (0..12_u32).filter(|nth| nth % 3 >= age) {
                rig.tier().forget_key(&nth.to_le_bytes());
                rig.write(&[answer(&nth.to_le_bytes(), &body(nth, age))]);
            }
            rig.close(&[]);
            rig.open(NOW_MS + 10_000 * u64::from(age + 1));
        }
        rig.tier().forget_key(&11_u32.to_le_bytes());
        rig.close(&[]);
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let files = rig.files().iter().map(|(path, bytes)| (name(path), bytes.clone())).collect();
        let ever = |nth: u32| (0..=nth % 3).map(|age| body(nth, age)).collect::<Vec<_>>();
        Left { files, bodies: (0..12).map(|nth| (nth, ever(nth))).collect() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_costs_answers_but_never_makes_wrong_ones(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 0..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let Left { files, bodies } = left();
        let mut files = files.clone();
        let sum: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        for (place, change) in flips {
            let mut at = place.index(sum);
            for (_, bytes) in &mut files {
                if at < bytes.len() {
                    bytes[at] ^= change;
                    break;
                }
                at -= bytes.len();
            }
        }
        if let Some(cut) = cut {
            let last = &mut files.last_mut().unwrap().1;
            let length = cut.index(last.len());
            last.truncate(length);
        }
        let rig = Rig::of(1 << 18, &files, NOW_MS + 100_000);
        for (nth, bodies) in bodies.iter() {
            let Some(found) = rig.find(&nth.to_le_bytes()) else { continue };
            let is_newest = bodies.last().is_some_and(|newest| found.body == newest);
            // What a lost tail said of older answers is not known.
            let is_old = cut.is_some() && bodies.iter().any(|body| found.body == body);
            prop_assert!((is_newest && *nth != 11) || is_old, "answer {}: {:?}", nth, found.body.first());
        }
    }
}
