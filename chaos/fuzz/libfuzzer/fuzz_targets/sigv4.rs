//! Bytes that lead somewhere new, held against `Property::Sigv4`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_fuzz::Property;

fuzz_target!(|bytes: &[u8]| {
    if let Err(fault) = Property::Sigv4.check(bytes) {
        panic!("{fault}");
    }
});
