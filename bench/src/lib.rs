//! What the benches measure, apart from who measures it: criterion (`benches/micro.rs`) and the binary run the same cases.

pub mod case;
pub mod cpu_clock;
pub mod micro;
pub mod peers;
pub mod ratio;
pub mod sampler;
pub mod table;
