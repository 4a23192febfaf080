//! Numbers that many threads count and one thread reads.
//!
//! Every worker has a shard of its own. A handle (`Counter`, `Gauge`, `Histogram`) belongs to the thread that made it and is the only
//! writer of its numbers in that shard: counting is a load and a store, without lock and without sharing. Making a handle takes the
//! shard's lock, so handles are kept. A scrape, on the admin thread, adds the shards up and renders them as text.
//!
//! Label sets are bounded: past [`SERIES_LIMIT`] in a family and shard, new ones are counted together as `overflow="true"`, and how
//! many were refused so is a metric itself. A series that nobody holds and that has not changed for a while is dropped.
//! Nothing here knows what is counted; it reads no clock.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display, Write};
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A metric: its name, what it says, and how it counts.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Names end in `_total`.
    Counter,
    Gauge,
    /// The upper bounds of the buckets, ascending, without +Inf.
    Histogram(&'static [f64]),
}

/// The label set of one series as it is written: `a="b",c="d"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(String);

impl Labels {
    /// Appends a label. Values are escaped and cut at [`VALUE_LIMIT`] bytes.
    pub(crate) fn push(&mut self, name: &str, value: impl Display) {
        let comma = if self.0.is_empty() { "" } else { "," };
        let _ = write!(self.0, "{comma}{name}=\"");
        let _ = write!(Escaped { out: &mut self.0, room: VALUE_LIMIT }, "{value}");
        self.0.push('"');
    }

    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.push(name, value);
        self
    }
}

/// All metrics of the process.
#[derive(Clone)]
pub(crate) struct Registry {
    shards: Arc<Mutex<Vec<Arc<Store>>>>,
    collectors: Arc<Mutex<Vec<Collector>>>,
    retain_idle: Duration,
}

/// Gives values that are read, not counted, when a scrape asks.
type Collector = Box<dyn Fn(&mut Samples) + Send>;

/// What collectors give.
#[derive(Default)]
pub(crate) struct Samples(Vec<(&'static Family, Labels, f64)>);

impl Samples {
    pub(crate) fn push(&mut self, family: &'static Family, labels: Labels, value: f64) {
        self.0.push((family, labels, value));
    }
}

impl Registry {
    /// An empty one. A series that nobody holds is shown for `retain_idle` after its last change.
    pub(crate) fn new(retain_idle: Duration) -> Self {
        Registry { shards: Arc::default(), collectors: Arc::default(), retain_idle }
    }

    /// A new shard for the calling thread.
    pub(crate) fn shard(&self) -> Shard {
        let store = Arc::new(Store::default());
        lock(&self.shards).push(store.clone());
        Shard { store, _one_thread: PhantomData }
    }

    /// Adds values that are read at each scrape, on the scraping thread.
    pub(crate) fn collect(&self, collector: impl Fn(&mut Samples) + Send + 'static) {
        lock(&self.collectors).push(Box::new(collector));
    }

    /// All numbers as text, and series dropped that are idle at `now`.
    pub(crate) fn render(&self, format: Format, now: Instant) -> String {
        let mut read = self.merge(now);
        let mut samples = Samples::default();
        lock(&self.collectors).iter().for_each(|collector| collector(&mut samples));
        for (family, labels, value) in samples.0 {
            read.entry(family.name).or_insert((family, BTreeMap::new())).1.insert(labels.0.into(), Number::Read(value));
        }
        let mut out = String::with_capacity(64 * 1024);
        for (family, series) in read.values() {
            format.family(&mut out, family, series);
        }
        if format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }

    fn merge(&self, now: Instant) -> BTreeMap<&'static str, (&'static Family, BTreeMap<Arc<str>, Number>)> {
        let shards = lock(&self.shards).clone();
        let mut stores: Vec<_> = shards.iter().map(|store| lock(&store.families)).collect();
        let mut busy: HashMap<(&str, Arc<str>), bool> = HashMap::new();
        for (name, series) in stores.iter_mut().flat_map(|store| store.iter_mut()) {
            for (labels, cell) in &mut series.cells {
                *busy.entry((name, labels.clone())).or_default() |= cell.is_busy(now, self.retain_idle);
            }
        }
        let mut read = BTreeMap::new();
        let overflow = stores.iter().flat_map(|store| store.values()).map(|series| (series.family.name, series.refused));
        for (name, refused) in overflow.filter(|(_, refused)| *refused > 0) {
            let (_, rows) = read.entry(OVERFLOW.name).or_insert_with(|| (&OVERFLOW, BTreeMap::new()));
            let labels = Labels::default().with("family", name).0.into();
            add(rows.entry(labels).or_insert_with(|| Number::Counted(vec![0])), &[AtomicU64::new(refused)], Kind::Counter);
        }
        for (name, series) in stores.iter_mut().flat_map(|store| store.iter_mut()) {
            series.cells.retain(|labels, _| busy[&(*name, labels.clone())]);
            let (_, rows) = read.entry(*name).or_insert_with(|| (series.family, BTreeMap::new()));
            for (labels, cell) in &series.cells {
                let sum = rows.entry(labels.clone()).or_insert_with(|| Number::Counted(vec![0; cell.atoms.len()]));
                add(sum, &cell.atoms, series.family.kind);
            }
        }
        read.retain(|_, (_, rows)| !rows.is_empty());
        read
    }
}

/// One thread's part of the metrics.
pub(crate) struct Shard {
    store: Arc<Store>,
    _one_thread: PhantomData<Rc<()>>,
}

impl Shard {
    pub(crate) fn counter(&self, family: &'static Family, labels: &Labels) -> Counter {
        debug_assert_eq!(family.kind, Kind::Counter);
        Counter(self.cell(family, labels, 1), PhantomData)
    }

    pub(crate) fn gauge(&self, family: &'static Family, labels: &Labels) -> Gauge {
        debug_assert_eq!(family.kind, Kind::Gauge);
        Gauge(self.cell(family, labels, 1), PhantomData)
    }

    pub(crate) fn histogram(&self, family: &'static Family, labels: &Labels) -> Histogram {
        let Kind::Histogram(bounds) = family.kind else { unreachable!("{} is no histogram", family.name) };
        Histogram { atoms: self.cell(family, labels, bounds.len() + 2), bounds, _one_thread: PhantomData }
    }

    fn cell(&self, family: &'static Family, labels: &Labels, size: usize) -> Arc<[AtomicU64]> {
        let mut families = lock(&self.store.families);
        let series = families.entry(family.name).or_insert_with(|| Series { family, cells: HashMap::new(), refused: 0 });
        let mut labels = labels.0.as_str();
        if !series.cells.contains_key(labels) && series.cells.len() >= SERIES_LIMIT {
            series.refused += 1;
            labels = OVERFLOW_LABELS;
        }
        if let Some(cell) = series.cells.get(labels) {
            return cell.atoms.clone();
        }
        let atoms: Arc<[AtomicU64]> = (0..size).map(|_| AtomicU64::new(0)).collect();
        series.cells.insert(labels.into(), Cell { atoms: atoms.clone(), seen: None });
        atoms
    }
}

/// Only grows.
#[derive(Debug)]
pub(crate) struct Counter(Arc<[AtomicU64]>, PhantomData<Rc<()>>);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        bump(&self.0[0], n);
    }
}

/// Grows and shrinks.
#[derive(Debug)]
pub(crate) struct Gauge(Arc<[AtomicU64]>, PhantomData<Rc<()>>);

impl Gauge {
    pub(crate) fn add(&self, n: i64) {
        bump(&self.0[0], n as u64);
    }
}

/// Counts values by size.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// A count for each bound, one for what is larger, and the sum as the bits of an f64.
    atoms: Arc<[AtomicU64]>,
    bounds: &'static [f64],
    _one_thread: PhantomData<Rc<()>>,
}

impl Histogram {
    pub(crate) fn observe(&self, value: f64) {
        bump(&self.atoms[self.bounds.partition_point(|bound| *bound < value)], 1);
        let sum = &self.atoms[self.bounds.len() + 1];
        sum.store((f64::from_bits(sum.load(Relaxed)) + value).to_bits(), Relaxed);
    }
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4.
    Text,
    OpenMetrics,
}

impl Format {
    /// What the `Accept` headers of a scrape ask for. Who takes OpenMetrics at all prefers it.
    pub(crate) fn accepted<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let takes = |kind: &str| {
            let mut parts = kind.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
            named && !parts.any(|q| q.strip_prefix("q=").and_then(|q| q.parse().ok()).is_some_and(|q: f32| q == 0.0))
        };
        let open = accept.into_iter().flat_map(|accept| accept.split(',')).any(takes);
        if open { Format::OpenMetrics } else { Format::Text }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    fn family(self, out: &mut String, family: &Family, series: &BTreeMap<Arc<str>, Number>) {
        let (name, kind) = match family.kind {
            Kind::Counter if self == Format::OpenMetrics => (family.name.trim_end_matches("_total"), "counter"),
            Kind::Counter => (family.name, "counter"),
            Kind::Gauge => (family.name, "gauge"),
            Kind::Histogram(_) => (family.name, "histogram"),
        };
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
        for (labels, number) in series {
            self.series(out, family, labels, number);
        }
    }

    fn series(self, out: &mut String, family: &Family, labels: &str, number: &Number) {
        let name = family.name;
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = match (number, family.kind) {
            (Number::Read(value), _) => writeln!(out, "{name}{braced} {value}"),
            (Number::Counted(counts), Kind::Counter) => writeln!(out, "{name}{braced} {}", counts[0]),
            (Number::Counted(counts), Kind::Gauge) => writeln!(out, "{name}{braced} {}", counts[0] as i64),
            (Number::Counted(counts), Kind::Histogram(bounds)) => {
                let comma = if labels.is_empty() { "" } else { "," };
                let mut total = 0;
                for (at, count) in counts[..=bounds.len()].iter().enumerate() {
                    total += count;
                    let bound = match bounds.get(at) {
                        None => "+Inf".to_owned(),
                        // OpenMetrics writes floats as floats.
                        Some(bound) if self == Format::OpenMetrics => format!("{bound:?}"),
                        Some(bound) => bound.to_string(),
                    };
                    let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {total}");
                }
                let sum = f64::from_bits(counts[bounds.len() + 1]);
                writeln!(out, "{name}_sum{braced} {sum}\n{name}_count{braced} {total}")
            }
        };
    }
}

/// The series of one shard.
#[derive(Default)]
struct Store {
    families: Mutex<BTreeMap<&'static str, Series>>,
}

struct Series {
    family: &'static Family,
    cells: HashMap<Arc<str>, Cell>,
    refused: u64,
}

struct Cell {
    atoms: Arc<[AtomicU64]>,
    /// What the last scrapes saw, and since when.
    seen: Option<(Vec<u64>, Instant)>,
}

impl Cell {
    fn is_busy(&mut self, now: Instant, retain_idle: Duration) -> bool {
        let values: Vec<u64> = self.atoms.iter().map(|atom| atom.load(Relaxed)).collect();
        match &self.seen {
            Some((seen, since)) if *seen == values => {
                Arc::strong_count(&self.atoms) > 1 || now.saturating_duration_since(*since) < retain_idle
            }
            _ => {
                self.seen = Some((values, now));
                true
            }
        }
    }
}

/// One series, all shards together.
enum Number {
    Counted(Vec<u64>),
    Read(f64),
}

fn add(number: &mut Number, atoms: &[AtomicU64], kind: Kind) {
    let Number::Counted(sums) = number else { return };
    let last = sums.len() - 1;
    for (at, (sum, atom)) in sums.iter_mut().zip(atoms).enumerate() {
        let value = atom.load(Relaxed);
        *sum = match kind {
            Kind::Histogram(_) if at == last => (f64::from_bits(*sum) + f64::from_bits(value)).to_bits(),
            // Two's complement: right for gauges, which may be negative in one shard, as well.
            _ => sum.wrapping_add(value),
        };
    }
}

/// The only writer of this number: no other can come between.
fn bump(atom: &AtomicU64, n: u64) {
    atom.store(atom.load(Relaxed).wrapping_add(n), Relaxed);
}

/// A thread that panicked left numbers behind that are still true.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Escaped<'a> {
    out: &'a mut String,
    room: usize,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.len_utf8() > self.room {
                self.room = 0;
                break;
            }
            self.room -= c.len_utf8();
            match c {
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                c => self.out.push(c),
            }
        }
        Ok(())
    }
}

/// Series of one family in one shard.
pub(crate) const SERIES_LIMIT: usize = 2000;
/// Bytes of one label value.
const VALUE_LIMIT: usize = 256;
const OVERFLOW_LABELS: &str = "overflow=\"true\"";
/// Those of the metrics themselves, for the reference.
pub(crate) static FAMILIES: &[&Family] = &[&OVERFLOW];
static OVERFLOW: Family = Family {
    name: "weft_metrics_overflow_total",
    help: "Label sets that were counted together because a family had too many.",
    kind: Kind::Counter,
};

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests count time from wherever they begin")]
mod tests {
    use super::*;

    const RETAIN_IDLE: Duration = Duration::from_secs(600);
    static CALLS: Family = Family { name: "calls_total", help: "Calls.", kind: Kind::Counter };
    static OPEN: Family = Family { name: "open", help: "Open.", kind: Kind::Gauge };
    static SIZE: Family = Family { name: "size", help: "Sizes.", kind: Kind::Histogram(&[1.0, 2.5]) };

    fn who(name: &str) -> Labels {
        Labels::default().with("who", name)
    }

    /// Requirement: a scrape shows the sum of all shards, in both formats as their specifications want them.
    #[test]
    fn shards_are_added_up() {
        let registry = Registry::new(RETAIN_IDLE);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let registry = registry.clone();
                std::thread::spawn(move || {
                    let shard = registry.shard();
                    shard.counter(&CALLS, &who("a")).add(2);
                    shard.gauge(&OPEN, &Labels::default()).add(-1);
                    let size = shard.histogram(&SIZE, &who("a"));
                    [1.0, 2.0, 9.0].into_iter().for_each(|value| size.observe(value));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let text = "# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total{who=\"a\"} 4\n\
                    # HELP open Open.\n# TYPE open gauge\nopen -2\n\
                    # HELP size Sizes.\n# TYPE size histogram\n\
                    size_bucket{who=\"a\",le=\"1\"} 2\nsize_bucket{who=\"a\",le=\"2.5\"} 4\nsize_bucket{who=\"a\",le=\"+Inf\"} 6\n\
                    size_sum{who=\"a\"} 24\nsize_count{who=\"a\"} 6\n";
        assert_eq!(registry.render(Format::Text, Instant::now()), text);
        let open =
            text.replace("HELP calls_total", "HELP calls").replace("TYPE calls_total", "TYPE calls").replace("le=\"1\"", "le=\"1.0\"");
        assert_eq!(registry.render(Format::accepted(["application/openmetrics-text;q=1"]), Instant::now()), open + "# EOF\n");
    }

    /// Requirement: label values cannot break the text, nor be as long as a client likes.
    #[test]
    fn label_values_are_escaped_and_cut() {
        let labels = Labels::default().with("a", "x\"\\\ny").with("b", "é".repeat(200));
        assert_eq!(labels.0, format!("a=\"x\\\"\\\\\\ny\",b=\"{}\"", "é".repeat(128)));
    }

    /// Requirement: a family's label sets are bounded, what is past the bound is counted together, and it shows.
    #[test]
    fn label_sets_are_bounded() {
        let (registry, now) = (Registry::new(RETAIN_IDLE), Instant::now());
        let shard = registry.shard();
        for n in 0..SERIES_LIMIT + 3 {
            shard.counter(&CALLS, &who(&n.to_string())).add(1);
        }
        shard.counter(&CALLS, &who("7")).add(1);
        let text = registry.render(Format::Text, now);
        assert!(text.contains("calls_total{overflow=\"true\"} 3\n") && text.contains("calls_total{who=\"7\"} 2\n"));
        assert!(text.contains("weft_metrics_overflow_total{family=\"calls_total\"} 3\n"));
    }

    /// Requirement: a series goes when it is idle in every shard and nobody holds it, all shards at once, and not before.
    #[test]
    fn idle_series_are_dropped() {
        let (registry, start) = (Registry::new(RETAIN_IDLE), Instant::now());
        let (one, two) = (registry.shard(), registry.shard());
        one.counter(&CALLS, &who("gone")).add(1);
        two.counter(&CALLS, &who("gone")).add(1);
        let held = one.counter(&CALLS, &who("held"));
        held.add(1);
        assert!(registry.render(Format::Text, start).contains("who=\"gone\"} 2"));
        two.counter(&CALLS, &who("gone")).add(1);
        assert!(registry.render(Format::Text, start + RETAIN_IDLE).contains("who=\"gone\"} 3"));
        let text = registry.render(Format::Text, start + RETAIN_IDLE * 2);
        assert!(!text.contains("gone") && text.contains("who=\"held\"} 1"));
    }

    /// Requirement: values that are read at the scrape stand among the counted ones.
    #[test]
    fn collectors_are_asked_at_each_scrape() {
        let registry = Registry::new(RETAIN_IDLE);
        registry.collect(|samples| samples.push(&OPEN, who("x"), 1.5));
        assert!(registry.render(Format::Text, Instant::now()).ends_with("# TYPE open gauge\nopen{who=\"x\"} 1.5\n"));
    }
}
