//! The choice of a target: what every call to an upstream costs before its connection is taken, and what its answer costs after.

use std::{hint::black_box, net::SocketAddr};

use tidegate_upstream::{Targets, Tries, choose};

use crate::case::Case;

pub(super) fn cases() -> Vec<Case> {
    vec![
        choice("one target", 1, false, 15.0),
        choice("six targets in three zones", 6, false, 30.0),
        choice("six targets in three zones, those of the own zone out", 6, true, 30.0),
        choice("sixty targets in three zones", 60, false, 60.0),
    ]
}

fn choice(name: &str, count: u16, is_local_out: bool, bound_ns: f64) -> Case {
    let target = |at: u16| (SocketAddr::from(([10, 0, 0, 1], at + 1)), format!("az-{}", at % 3));
    let list: Vec<(SocketAddr, String)> = (0..count).map(target).collect();
    let targets = Targets::new("az-0", &list, None, 0);
    if is_local_out {
        (0..usize::from(count)).step_by(3).for_each(|index| targets.checked(index, false, true));
    }
    let mut random = 1_u64;
    Case::new(name.to_owned(), move || {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let standing = black_box(&targets).standing();
        let chosen = choose(&standing, &Tries::default(), random.rotate_left(24), |index| (index % 7) as u32);
        if let Some(choice) = black_box(chosen) {
            targets.succeeded(choice.index);
        }
    })
    .below_ns(bound_ns)
}
