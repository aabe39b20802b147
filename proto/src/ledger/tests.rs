//! Frozen bytes: logs, checkpoints and other nodes hold them.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn frozen(name: &str, actual: &[u8], golden: &str) {
    assert_eq!(
        hex(actual),
        golden.trim(),
        "{name} changed on the wire or on disk: add a version instead of changing this one"
    );
}

fn changes() -> Vec<ChangeV1> {
    let (limit, period, holder, life) = (7, 20_000, 3, 5);
    vec![
        ChangeV1::Open { holder, incarnation: life, replaces: 4, unit: WHOLE / 4 },
        ChangeV1::Close { holder, epoch: 6 },
        ChangeV1::Manage { limit },
        ChangeV1::Slice {
            limit,
            holder,
            committed: 9,
            target: 8,
            tokens: 1_500,
            returned: 250,
            contended: true,
            implicit: false,
        },
        ChangeV1::Retire { limit },
        ChangeV1::Quota { limit, period, size: 100 },
        ChangeV1::Pool { limit, size: 10 },
        ChangeV1::Grant { limit, period, holder, life, amount: 2 },
        ChangeV1::Settle { limit, period, holder, life, spent: 1, returned: 1 },
        ChangeV1::Remain { limit, period, remaining: 50 },
        ChangeV1::Forget { limit },
        ChangeV1::Level { limit, level: -2_500, full: 10_000 },
        ChangeV1::Day { day: 20_001 },
        ChangeV1::Upstream { epoch: 2, unit: WHOLE / 3 },
        ChangeV1::Leave { epoch: 2 },
        ChangeV1::Whole { limit, share: 11, version: 12, tokens: 13, returned: 14 },
    ]
}

fn state() -> StateV1 {
    let chunk = ChunkV1 { holder: 3, life: 5, granted: 20, spent: 11, returned: 2 };
    let slice = SliceV1 { holder: 3, committed: 9, target: 8, version: 7, ..SliceV1::default() };
    StateV1 {
        epoch: 6,
        version: 7,
        day: 20_000,
        sessions: vec![SessionV1 { holder: 3, incarnation: 5, epoch: 6, unit: 4 }],
        slices: vec![SliceRowV1 { limit: 1, slices: vec![slice] }],
        pools: vec![PoolRowV1 { limit: 2, size: 10, chunks: vec![chunk] }],
        quotas: vec![QuotaRowV1 {
            limit: 3,
            period: 20_000,
            configured: 100,
            size: 90,
            pool: -1,
            chunks: vec![chunk],
            history: vec![(19_999, 40)],
            ..QuotaRowV1::default()
        }],
        levels: vec![(4, -2_500)],
        capital: Some(CapitalV1 {
            epoch: 2,
            epoch_seen: 2,
            unit: 5,
            wholes: vec![WholeV1 { limit: 1, share: 6, version: 7, tokens: 8, returned: 9 }],
        }),
    }
}

fn grant() -> GrantV1 {
    let slice = SliceGrantV1 { limit: 1, share: 9, version: 7, tokens: 1_500, ..SliceGrantV1::default() };
    GrantV1 {
        term: 4,
        epoch: 6,
        echo_ns: 1_000,
        lease_ns: 2_000,
        holders: 3,
        day: 20_000,
        open: Some(OpenV1 { incarnation: 5, unit: 4, slices: vec![slice] }),
        slices: vec![slice],
        levels: vec![LevelGrantV1 { limit: 2, level: -2_500, spent: 9, saved: 8, sequence: 1 }],
        chunks: vec![ChunkGrantV1 { limit: 3, period: 20_000, granted: 20, recall: true, exhausted: false }],
        ..GrantV1::default()
    }
}

fn report() -> ReportV1 {
    ReportV1 {
        holder: 3,
        incarnation: 5,
        epoch: 6,
        epoch_seen: 6,
        term: 4,
        sent_ns: 1_000,
        full: true,
        slices: vec![SliceReportV1 { limit: 1, demand: 2.5, version: 7, ..SliceReportV1::default() }],
        counts: vec![CountReportV1 { limit: 2, demand: 0.5, spent: 9, ..CountReportV1::default() }],
        chunks: vec![ChunkReportV1 { limit: 3, period: 20_000, wanting: true, ..ChunkReportV1::default() }],
        ..ReportV1::default()
    }
}

#[test]
fn golden_command() {
    let sample = CommandV1 { changes: changes() };
    let bytes = sample.encode().unwrap();
    assert_eq!(CommandV1::decode(&bytes).unwrap(), sample);
    frozen("ledger-command-v1", &bytes, include_str!("../../tests/golden/ledger-command-v1.hex"));
}

#[test]
fn golden_state() {
    let bytes = state().encode().unwrap();
    assert_eq!(StateV1::decode(&bytes).unwrap(), state());
    frozen("ledger-state-v1", &bytes, include_str!("../../tests/golden/ledger-state-v1.hex"));
}

#[test]
fn golden_messages() {
    let busy = BusyV1 {
        limit: 1,
        demand: 2.5,
        holders: vec![BusyHolderV1 { holder: 3, demand: 2.5, refused: 1.0, share: 9 }],
        ..BusyV1::default()
    };
    let used = vec![vec![UsedV1 { day: 20_000, used: 3, remaining: 97 }]];
    let all = [
        MessageV1::Report { group: 2, report: report() },
        MessageV1::Grant { group: 2, grant: grant() },
        MessageV1::Taken,
        MessageV1::Usage { group: 2, limits: vec![3], first_day: 19_999, last_day: 20_000 },
        MessageV1::Used(used),
        MessageV1::Settle { group: 2, limit: 3 },
        MessageV1::Top { group: 2, count: 10 },
        MessageV1::TopHere { count: 10 },
        MessageV1::Unsettled(CommandV1 { changes: changes() }),
        MessageV1::Busiest(vec![busy]),
    ];
    let mut lines = String::new();
    for message in all {
        let bytes = message.encode().unwrap();
        assert_eq!(MessageV1::decode(&bytes).unwrap(), message);
        lines += &format!("{}\n", hex(&bytes));
    }
    assert_eq!(
        lines.trim(),
        include_str!("../../tests/golden/ledger-message-v1.hex").trim(),
        "ledger-message-v1 changed on the wire: add a version instead of changing this one"
    );
}
