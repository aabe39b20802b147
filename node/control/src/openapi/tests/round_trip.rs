//! Export then import gives an equal definition, whatever the definition.

use super::definition::{assert_round_trip, export_options, forms, stage};
use super::random::{Random, definition};
use crate::openapi::export;

#[test]
fn any_definition_survives_export_and_import() {
    for seed in 0..240 {
        let wanted = definition(&mut Random::new(seed));
        assert_round_trip(&wanted, &format!("seed {seed}"));
    }
}

#[test]
fn the_same_definition_gives_the_same_bytes() {
    let definition = definition(&mut Random::new(11));
    for (format, yaml) in forms() {
        let options = export_options(format, yaml);
        assert_eq!(export(&definition, &stage(), &options), export(&definition, &stage(), &options));
    }
}
