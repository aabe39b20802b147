//! The micro cases under criterion: distributions, comparison with the last run, reports in `target/criterion`.

use std::time::Duration;

use criterion::Criterion;
use tidegate_bench::micro::GROUPS;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for group in GROUPS {
        let mut measured = criterion.benchmark_group(group.name);
        for mut case in (group.build)() {
            measured
                .bench_function(case.name.clone(), |bencher| bencher.iter_custom(|times| (case.run)(times)));
        }
        measured.finish();
    }
    criterion.final_summary();
}
