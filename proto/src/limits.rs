//! Every bound of the system, one per line, with the reason for its value. Code elsewhere names these; it never repeats the number.
//!
//! Figures marked *AWS* are Amazon API Gateway's documented quotas ("Amazon API Gateway quotas and important notes").

/// Largest request or response body that is buffered or streamed through, in bytes (*AWS*: 10 MB payload).
pub const BODY_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Largest request line plus headers, in bytes (*AWS*: 10,240 B).
pub const HEAD_BYTES_MAX: usize = 10_240;
/// Most header lines in one request; well above what fits into [`HEAD_BYTES_MAX`] in practice.
pub const HEADERS_MAX: usize = 128;
/// Longest integration timeout a method may ask for, in milliseconds (*AWS*: 29 s).
pub const INTEGRATION_TIMEOUT_MS_MAX: u32 = 29_000;
/// Shortest integration timeout a method may ask for, in milliseconds (*AWS*: 50 ms).
pub const INTEGRATION_TIMEOUT_MS_MIN: u32 = 50;
/// Time allowed to connect to an upstream, in milliseconds; a same-region peer answers in far less.
pub const CONNECT_TIMEOUT_MS: u64 = 1_000;
/// Idle upstream connections kept per shard and authority.
pub const UPSTREAM_IDLE_PER_AUTHORITY_MAX: usize = 256;
/// Idle upstream connections kept per shard.
pub const UPSTREAM_IDLE_MAX: usize = 1_024;
/// Longest a client may take to send one request body that is streamed upstream, in milliseconds; its pauses are bounded
/// by the listener, and this bounds their sum.
pub const UPLOAD_TIME_MS_MAX: u64 = 300_000;
/// Bytes of a rejected or too large request body that are still read, so that its sender gets to read the answer.
pub const DISCARD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long they are waited for, in milliseconds.
pub const DISCARD_TIME_MS_MAX: u64 = 500;
/// Longest trace header that is kept, in bytes; a longer one is replaced.
pub const TRACE_BYTES_MAX: usize = 512;
/// How often a request may come to one API from a gateway before that is a loop (*AWS* stops functions that call each other after as many).
pub const LOOP_VISITS_MAX: u32 = 16;
/// How often a request may come from a gateway to another one in all; its trace has room for as many.
pub const GATEWAY_HOPS_MAX: u32 = 32;
/// How long an upstream connection may take to become free after its answer was read, in milliseconds.
pub const UPSTREAM_SETTLE_MS_MAX: u64 = 500;
/// Most shards one node runs; more than any machine has cores.
pub const SHARDS_MAX: usize = 256;
/// Upstream connections one shard keeps open at a time, busy ones included; a call beyond it fails as if refused.
pub const UPSTREAM_OPEN_MAX: usize = 16_384;
/// How long an idle upstream connection is kept, in milliseconds; below the common 60 s of origin servers.
pub const UPSTREAM_IDLE_TIMEOUT_MS: u64 = 50_000;
/// Bytes of a body that are copied behind its head, so that both leave in one call; a larger part is not copied.
pub const COALESCE_BYTES_MAX: usize = 4_096;
/// Bytes still to come from which on a stream is moved with large buffers.
pub const LONG_STREAM_BYTES: u64 = 64 * 1024;
/// Free notes on requests that one shard keeps; a request beyond it makes its own.
pub const ERRAND_BOXES_MAX: usize = 1_024;
/// Bytes of a head, and of a call, that such a note keeps room for: the longest that fit a buffer. Most grow to one or two
/// kilobytes; all of a shard together hold 32 MiB at most.
pub const ERRAND_BYTES_MAX: usize = 16 * 1024;
/// Bytes of following requests that are read while an answer is awaited.
pub const AHEAD_BYTES_MAX: usize = 8 * 1024;
/// Interim answers of one upstream call that are skipped.
pub const INTERIM_ANSWERS_MAX: usize = 8;
/// Calls to an upstream that pay for one retry, so that retries stay below 20 %.
pub const RETRY_SHARE: u32 = 5;
/// Retries per second that one shard may make at an upstream that is hardly called.
pub const RETRIES_PER_SECOND_MIN: u32 = 2;
/// Attempts to connect of one call, where an upstream has several targets.
pub const CONNECT_TRIES_MAX: u8 = 3;
/// Time allowed to connect to a target where there are others, in milliseconds.
pub const TARGET_CONNECT_TIMEOUT_MS: u64 = 300;
/// How long what was sent to a target may stay unacknowledged where there are others, in milliseconds: a host that lost its power
/// acknowledges nothing, one that only works on its answer does.
pub const TARGET_SILENCE_MS_MAX: u32 = 1_000;
/// Failures of a target in a row that make it an outlier.
pub const TARGET_FAILURES_MAX: u32 = 5;
/// Bytes that are kept of a target's last error.
pub const TARGET_ERROR_BYTES_MAX: usize = 256;
/// How long a target is ejected for the first time, in milliseconds; the next times twice, three times as long.
pub const EJECTION_BASE_MS: u64 = 30_000;
/// How long a target is ejected at most, in milliseconds.
pub const EJECTION_MS_MAX: u64 = 300_000;
/// Share of an upstream's targets, in percent, that must be healthy for health to be looked at.
pub const HEALTHY_PERCENT_MIN: u32 = 50;
/// How many times its calls a zone's targets can take, in percent: calls leave the zone once more than this reserve is missing.
pub const LOCAL_OVERPROVISION_PERCENT: u32 = 140;
/// Most targets that the tags of one VPC link name.
pub const LINK_TARGETS_MAX: usize = 64;
/// Most VPC links in one cluster (*AWS*: 20 per region).
pub const VPC_LINKS_MAX: usize = 1_000;
/// Longest name of a VPC link, in characters.
pub const VPC_LINK_NAME_CHARS_MAX: usize = 1_024;
/// Seconds between health checks of a target where nothing else is set.
pub const CHECK_INTERVAL_S_DEFAULT: u32 = 2;
/// Longest time between health checks of a target, in seconds.
pub const CHECK_INTERVAL_S_MAX: u32 = 300;
/// Seconds that a health check may take where nothing else is set.
pub const CHECK_TIMEOUT_S_DEFAULT: u32 = 1;
/// Longest time that a health check may take, in seconds.
pub const CHECK_TIMEOUT_S_MAX: u32 = 60;
/// Health checks of one node that are under way at a time; further ones wait.
pub const CHECKS_AT_ONCE_MAX: usize = 64;
/// Questions to the resolver that are under way at a time, besides those that calls wait for.
pub const RESOLUTIONS_AT_ONCE_MAX: usize = 16;
/// How long the resolver is waited for, in milliseconds.
pub const RESOLUTION_TIMEOUT_MS: u64 = 2_000;
/// How long an answer of the resolver is good for before it is asked again, in milliseconds.
pub const RESOLUTION_INTERVAL_MS: u64 = 5_000;
/// Upstreams whose targets one node keeps records of; those beyond are asked for anew by each connection.
pub const UPSTREAMS_MAX: usize = 4_096;
/// How long an upstream that nobody calls is kept in mind, in milliseconds.
pub const UPSTREAM_FORGOTTEN_MS: u64 = 60_000;
/// Health checks in a row that must pass before a target is believed to be well.
pub const CHECK_RISE: u8 = 2;
/// Health checks in a row that must fail before a target is believed not to be.
pub const CHECK_FALL: u8 = 2;
/// Most path parameters in one resource path.
pub const PATH_PARAMETERS_MAX: usize = 32;
/// Most segments the router looks at; deeper paths only match a greedy parameter.
pub const PATH_SEGMENTS_MAX: usize = 64;

/// Largest body of a control-plane request, in bytes (*AWS*: 6 MB import).
pub const CONTROL_BODY_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Control calls answered at a time, which also bounds the bodies held in memory; a further one waits, then answers 429.
pub const CONTROL_CALLS_MAX: usize = 64;
/// How long a control call waits for its turn, in milliseconds.
pub const CONTROL_TURN_TIMEOUT_MS: u64 = 1_000;
/// Most resources in one REST API; raised from *AWS* 300, as the router costs the same at 20,000 routes.
pub const RESOURCES_PER_API_MAX: usize = 25_000;
/// Most stages in one REST API (*AWS*: 10).
pub const STAGES_PER_API_MAX: usize = 10;
/// Most deployments kept for one REST API; the oldest unused must be deleted first.
pub const DEPLOYMENTS_PER_API_MAX: usize = 100;
/// Most REST APIs in one cluster.
pub const REST_APIS_MAX: usize = 5_000;
/// Most models in one REST API.
pub const MODELS_PER_API_MAX: usize = 1_000;
/// Most tags on one resource (*AWS*: 50).
pub const TAGS_MAX: usize = 50;
/// Most stage variables of one stage (*AWS*: 100).
pub const STAGE_VARIABLES_MAX: usize = 100;
/// Most patch operations in one PATCH request.
pub const PATCH_OPERATIONS_MAX: usize = 500;
/// Largest mapping template, in bytes (*AWS*: 300 KB).
pub const TEMPLATE_BYTES_MAX: usize = 300 * 1024;
/// Most API keys in one cluster; raised from *AWS* 10,000, as a key costs a lookup of one hash however many there are. What fits
/// is also bounded by [`STATE_BYTES_MAX`]: a key in one plan takes some 500 bytes and its name.
pub const API_KEYS_MAX: usize = 1_000_000;
/// Shortest value of an API key, in characters (*AWS*: 20).
pub const API_KEY_VALUE_CHARS_MIN: usize = 20;
/// Longest value of an API key, in characters (*AWS*: 128).
pub const API_KEY_VALUE_CHARS_MAX: usize = 128;
/// Longest name of an API key or a usage plan, in characters (*AWS*: 1,024).
pub const API_KEY_NAME_CHARS_MAX: usize = 1_024;
/// Longest description of an API key or a usage plan, in characters (*AWS*: 125,000).
pub const API_KEY_DESCRIPTION_CHARS_MAX: usize = 125_000;
/// Most stage keys, and most labels, of one API key; they have no effect and are only kept.
pub const API_KEY_MARKS_MAX: usize = 100;
/// Most API keys in one imported file; their records and comparisons fit one transaction.
pub const API_KEYS_PER_IMPORT_MAX: usize = 5_000;
/// Most usage plans in one cluster; raised from *AWS* 300, as finding the plans of a key asks each plan once.
pub const USAGE_PLANS_MAX: usize = 1_000;
/// Most usage plans of one API key; raised from *AWS* 10.
pub const USAGE_PLANS_PER_KEY_MAX: usize = 100;
/// Most stages of one usage plan.
pub const API_STAGES_PER_PLAN_MAX: usize = 1_000;
/// Most limits per method in one usage plan; raised from *AWS* 20.
pub const METHOD_THROTTLES_PER_PLAN_MAX: usize = 1_000;
/// Most method settings of one stage.
pub const METHOD_SETTINGS_MAX: usize = 5_000;
/// Most days that one reading of usage covers: a leap year.
pub const USAGE_DAYS_MAX: i32 = 366;
/// Most certificates in one cluster; each costs a node some 10 KiB of memory.
pub const CERTIFICATES_MAX: usize = 1_000;
/// Largest certificate chain, PEM, in bytes; clients refuse longer ones anyway.
pub const CERTIFICATE_CHAIN_BYTES_MAX: usize = 32 * 1024;
/// Largest private key, PEM, in bytes; RSA with 8,192 bits fits.
pub const CERTIFICATE_KEY_BYTES_MAX: usize = 16 * 1024;
/// Longest name of a certificate, in bytes.
pub const CERTIFICATE_NAME_BYTES_MAX: usize = 64;
/// Most DNS names of one certificate; public authorities sign at most 100.
pub const CERTIFICATE_DNS_NAMES_MAX: usize = 250;
/// Page size of list operations when `limit` is absent (*AWS*: 25).
pub const PAGE_LIMIT_DEFAULT: usize = 25;
/// Largest page of list operations (*AWS*: 500).
pub const PAGE_LIMIT_MAX: usize = 500;
/// How often a control operation is re-run when another writer touched the same records first.
pub const COMMIT_ATTEMPTS_MAX: usize = 8;
/// How long a small control write waits for a quorum, in milliseconds, before it answers 503.
pub const PROPOSE_TIMEOUT_MS: u64 = 1_000;
/// Time added to that per MiB of transaction, in milliseconds.
pub const PROPOSE_TIMEOUT_MS_PER_MIB: u64 = 500;
/// How long a control read waits for a linearizable read point, in milliseconds, before it answers from this node's state.
pub const READ_TIMEOUT_MS: u64 = 500;
/// How long status waits for one node to describe itself, in milliseconds.
pub const DESCRIBE_TIMEOUT_MS: u64 = 300;

/// Largest replicated transaction, in bytes: a deployment of 20,000 routes fits. The log takes no larger command.
pub const TRANSACTION_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most operations in one replicated transaction.
pub const TRANSACTION_OPERATIONS_MAX: usize = 65_536;
/// Largest opaque message between two nodes, in bytes.
pub const PEER_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest record key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// Largest frame body, in bytes; above [`STATE_BYTES_MAX`] with the overhead of the archive.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Most bytes of keys and documents in the replicated state; a transaction that would pass it is refused.
pub const STATE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Steps one mapping template may take: some 20 ms of a processor, which other requests wait for. The largest template may visit every
/// element of a loop at the limit of AWS (1,000) two hundred times.
pub const TEMPLATE_STEPS_MAX: u64 = 200_000;
/// Bytes of the body for which a template may take one step more, so that large bodies can be read and copied.
pub const TEMPLATE_BODY_BYTES_PER_STEP: u64 = 4;
/// Lifetime of a join token, in seconds.
pub const JOIN_TOKEN_TTL_S: i64 = 3_600;
/// Unused join tokens kept at a time.
pub const JOIN_TOKENS_MAX: usize = 100;

/// Largest body of an answer that is cached, in bytes (*AWS*: 1 MiB).
pub const CACHE_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a stored body that are copied behind the head: the kernel takes one piece in less time than two, as long as both fit a buffer
/// and the nearest of the processor's caches.
pub const CACHE_COPY_BYTES_MAX: usize = 12 * 1024;
/// Longest life of a cached answer that a stage may ask for, in seconds (*AWS*: 3,600).
pub const CACHE_TTL_S_MAX: i64 = 3_600;
/// Longest key of a cached answer, in bytes; a request with a longer one is not answered from the cache.
pub const CACHE_KEY_BYTES_MAX: usize = 16 * 1024;
/// Purges of a part that a stage remembers; one more flushes everything.
pub const CACHE_PURGES_MAX: usize = 100;
/// Names in a Vary header beyond which an answer is not cached.
pub const CACHE_VARY_NAMES_MAX: usize = 16;
/// Calls under way for cached answers, each with requests that may wait for it; further ones are made for one request each.
pub const CACHE_FLIGHTS_MAX: usize = 1 << 16;
/// Stored answers that a shard has in its own view; beyond it the view begins anew.
pub const CACHE_VIEW_ENTRIES_MAX: usize = 1 << 16;
/// How long requests for a key whose answer was not fit for storing do not wait for each other, in milliseconds.
pub const CACHE_UNFIT_MS: u64 = 10_000;
/// Bytes of cached answers that a node holds in memory unless its options say otherwise.
pub const CACHE_MEMORY_BYTES_DEFAULT: u64 = 512 * 1024 * 1024;
/// Longest value of a field of a purge, in bytes; [`CACHE_PURGES_MAX`] of them stay small beside what is deployed.
pub const CACHE_PURGE_BYTES_MAX: usize = 1_024;
/// How often a node that caches has it confirmed that it knows of every flush, in milliseconds.
pub const CACHE_CONFIRM_EVERY_MS: u64 = 1_000;
/// How long a node may take for one such confirmation, in milliseconds.
pub const CACHE_CONFIRM_TIMEOUT_MS: u64 = 1_000;
/// How long a node serves stored answers after the moment for which that was confirmed, in milliseconds.
pub const CACHE_CURRENT_MS: u64 = 5_000;
/// How much longer than that others count on it, in milliseconds: as much as two clocks may differ over that time, and more.
pub const CACHE_CURRENT_MARGIN_MS: u64 = 500;
/// How long a flush waits for every node of the region to serve it, in milliseconds; healthy ones take a few rounds of agreement. Above
/// [`CACHE_CURRENT_MS`] and [`CACHE_CURRENT_MARGIN_MS`], after which a node that is out of reach serves nothing that was flushed.
pub const CACHE_SETTLE_TIMEOUT_MS: u64 = 8_000;
/// Shortest and longest pause before a node is asked again whether it serves a flush, in milliseconds.
pub const CACHE_SETTLE_POLL_MS: [u64; 2] = [2, 100];
/// How long a node may take to say what it has cached, in milliseconds.
pub const CACHE_TOP_TIMEOUT_MS: u64 = 1_500;
/// Bytes of text in what a node says it has cached; further answers are left out.
pub const CACHE_REPORT_BYTES_MAX: usize = 1024 * 1024;
/// Cached answers that are named in an answer to an operator.
pub const CACHE_TOP_COUNT_MAX: usize = 500;
/// Header names in one `private` or `no-cache` directive; one with more concerns the whole answer.
pub const CACHE_FIELD_NAMES_MAX: usize = 16;
/// Members of an Accept-Language or Accept-Encoding header that are sorted; a longer one is compared as it came.
pub const CACHE_VARY_MEMBERS_MAX: usize = 32;
/// Longest time that an answer is kept for use after it became stale, in seconds.
pub const CACHE_STALE_S_MAX: u64 = 7 * 24 * 3_600;
/// Tags of one cached answer; further ones are not remembered.
pub const CACHE_TAGS_MAX: usize = 64;
/// How long the owner of a key may take to reply before it counts as gone, in milliseconds; one in the same zone takes less than one.
pub const CACHE_ZONE_ASK_MS: u64 = 50;
/// How long the owner of a key holds its reply while another node fills the key, in milliseconds. Far below what a call may take, so
/// that those who wait soon see that the owner is gone; they ask again.
pub const CACHE_ZONE_HOLD_MS: u64 = 250;
/// How long a key waits for the node that fills it before the next one may, in milliseconds, and how long a request waits for either.
pub const CACHE_ZONE_WAIT_MS: u64 = 5_000;
/// How often one request asks the owner of its key at most: as often as it is held while it waits, and for two variants.
pub const CACHE_ZONE_ROUNDS_MAX: u64 = CACHE_ZONE_WAIT_MS / CACHE_ZONE_HOLD_MS + 4;
/// How long an owner that did not reply is not asked again, in milliseconds.
pub const CACHE_ZONE_AVOID_MS: u64 = 1_000;
/// How long a node remembers that an answer was made invalid by one of its own requests while the owner has not confirmed it, in
/// milliseconds. Longer than an owner that does not confirm is asked.
pub const CACHE_ZONE_FORGET_MS: u64 = 2_000;
/// Keys that are remembered that way at a time; beyond it no owner is asked for a while.
pub const CACHE_ZONE_FORGET_MAX: usize = 1 << 14;
/// Keys that an owner has somebody fill at a time; further ones are filled without waiting for each other.
pub const CACHE_ZONE_TICKETS_MAX: usize = 1 << 16;
/// Replies that an owner holds at a time; further askers go to the upstream.
pub const CACHE_ZONE_HELD_MAX: usize = 4_096;
/// Questions that a node has under way to owners at a time; further requests go to the upstream.
pub const CACHE_ZONE_ASKS_MAX: usize = 512;
/// Answers that a node has under way to owners at a time, each of up to [`CACHE_BODY_BYTES_MAX`]; others stay where they are.
pub const CACHE_ZONE_PUTS_MAX: usize = 64;
/// How long such a message may take, in milliseconds.
pub const CACHE_ZONE_PUT_MS: u64 = 1_000;
/// Invalid keys that wait to be told to the other nodes of the region; further ones stay valid there for as long as they are fresh.
pub const CACHE_ZONE_FORGETS_MAX: usize = 4_096;
/// Keys in one message about invalid ones; with the longest of keys it stays within [`PEER_MESSAGE_BYTES_MAX`].
pub const CACHE_ZONE_FORGET_KEYS_MAX: usize = 128;
/// Bytes of an answer that travels between nodes: the largest body and some room for its head.
pub const CACHE_ZONE_ENTRY_BYTES_MAX: usize = CACHE_BODY_BYTES_MAX + 512 * 1024;
/// Pause between two looks at which nodes of the zone are there, in milliseconds.
pub const CACHE_ZONE_HELLO_MS: u64 = 250;
/// How long a node may take to say that it is there, in milliseconds.
pub const CACHE_ZONE_HELLO_TIMEOUT_MS: u64 = 500;
/// Fewest bytes of cached answers on disk that make sense: some segments with some of the largest answers each.
pub const CACHE_DISK_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Answers on disk that a node knows the places of; it takes some 60 MiB of memory. Beyond it the oldest go.
pub const CACHE_DISK_RECORDS_MAX: usize = 1 << 20;
/// Largest record of an answer on disk, in bytes: its body, and some hundred KiB of key and header lines.
pub const CACHE_DISK_RECORD_BYTES_MAX: usize = CACHE_BODY_BYTES_MAX + 256 * 1024;
/// Files with answers; beyond it the oldest go.
pub const CACHE_DISK_SEGMENTS_MAX: usize = 256;
/// Records in one of these files, so that looking through it takes little memory.
pub const CACHE_DISK_SEGMENT_RECORDS_MAX: usize = 1 << 16;
/// Answers, and their bytes, that wait for being written to disk; others are not written.
pub const CACHE_DISK_WRITES_MAX: usize = 4_096;
/// See [`CACHE_DISK_WRITES_MAX`].
pub const CACHE_DISK_WRITE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Answers that wait for being read from disk by one thread; others are asked of upstreams.
pub const CACHE_DISK_READS_MAX: usize = 256;
/// How long a request waits for the disk, in milliseconds.
pub const CACHE_DISK_READ_TIMEOUT_MS: u64 = 20;
/// Answers on disk that were made invalid and are not marked so yet; beyond it everything on disk is dropped.
pub const CACHE_DISK_MARKS_MAX: usize = 1 << 16;
/// How long finding out what is on disk may take after a start, in milliseconds; what was not found by then is dropped.
pub const CACHE_DISK_SCAN_MS_MAX: u64 = 60_000;
/// How long writing what is in memory may take at the end, in milliseconds.
pub const CACHE_DISK_CLOSE_MS_MAX: u64 = 5_000;
/// How long an answer must be fresh yet to be worth a place on disk, in milliseconds.
pub const CACHE_DISK_LEFT_MS_MIN: u64 = 30_000;
/// How long nothing is written after the disk failed, in milliseconds.
pub const CACHE_DISK_PAUSE_MS: u64 = 10_000;

/// Rate limits and quotas that one node holds the state of; an API key with both counts once.
pub const LIMITS_MAX: usize = 1 << 22;
/// Different specifications of limits that one node holds: one per usage plan, limited method, stage and account.
pub const LIMIT_SPECS_MAX: usize = 1 << 16;
/// Limits of one node whose share differs from the default one at a time; beyond it a limit keeps the default share.
pub const MANAGED_LIMITS_MAX: usize = 1 << 18;
/// Days for which the use of a quota is remembered.
pub const QUOTA_HISTORY_DAYS_MAX: usize = 62;
/// How long a request waits for a larger share of a limit that is not used up, in milliseconds: a few rounds of agreement.
pub const LIMIT_WAIT_MS_MAX: u64 = 100;
/// Requests of one shard that wait for a larger share at a time; others are refused at once.
pub const LIMIT_WAITS_MAX: usize = 1_024;
/// Changes in one entry of a ledger's log; the others wait for the next tick.
pub const LEDGER_CHANGES_MAX: usize = 65_536;
/// Limits in one report to a ledger, so that it stays within a message; the others follow in the next one.
pub const LEDGER_REPORT_ITEMS_MAX: usize = 1 << 16;
/// Limits of one shard whose shares are managed one by one at a time; beyond it a limit keeps the default shares.
pub const LEDGER_MANAGED_MAX: usize = 1 << 16;
/// Messages about limits that a node has under way at a time; a message beyond it counts as lost.
pub const LEDGER_MESSAGES_MAX: usize = 256;
/// How long such a message may take, in milliseconds.
pub const LEDGER_MESSAGE_TIMEOUT_MS: u64 = 500;
/// Quotas that one question about their use may name.
pub const USAGE_LIMITS_MAX: usize = 500;
/// Limits that one question about the busiest ones may ask for.
pub const LIMITS_TOP_MAX: usize = 1_000;
/// Limits that are named in an answer to an operator.
pub const LIMITS_TOP_COUNT_MAX: usize = 500;
/// How long leaders and nodes may take to say which limits are busiest, in milliseconds.
pub const LIMITS_TOP_TIMEOUT_MS: u64 = 1_500;

/// How long a zonal shift lasts where its request does not say, in seconds.
pub const ZONAL_SHIFT_S_DEFAULT: i64 = 3_600;
/// Shortest zonal shift, in seconds. *AWS*: one minute.
pub const ZONAL_SHIFT_S_MIN: i64 = 60;
/// Longest zonal shift, in seconds. *AWS*: three days.
pub const ZONAL_SHIFT_S_MAX: i64 = 3 * 86_400;
/// Stages that one question about a rollout may name.
pub const ROLLOUT_STAGES_MAX: usize = 256;
