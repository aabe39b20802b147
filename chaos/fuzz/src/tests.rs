//! The properties hold on fixed bytes, and the cases are not empty ones.

use super::*;

/// splitmix64.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn every_property_holds_on_a_few_hundred_cases() {
    for property in Property::ALL {
        for seed in 0..300 {
            let held = property.check(&bytes(seed, property.bytes_max()));
            assert_eq!(held, Ok(()), "{} on seed {seed}", property.name());
        }
    }
}

#[test]
fn few_bytes_and_none_are_cases_too() {
    for property in Property::ALL {
        for length in 0..40 {
            assert_eq!(property.check(&bytes(7, length)), Ok(()), "{} on {length} bytes", property.name());
        }
    }
}
