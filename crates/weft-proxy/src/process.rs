//! What the process takes of the machine, read from /proc when a scrape asks: the usual `process_` metrics, and which build this is.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

use crate::metrics::{Family, Kind, Labels, Samples};

/// What does not change.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    started: SystemTime,
}

impl Process {
    pub(crate) fn new(started: SystemTime) -> Self {
        Process { started }
    }

    pub(crate) fn sample(&self, samples: &mut Samples) {
        let mut push = |family, value| samples.push(family, Labels::default(), value);
        push(&STARTED, self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let (user, system) = (usage.user_time(), usage.system_time());
            push(&CPU, (user.tv_sec() + system.tv_sec()) as f64 + (user.tv_usec() + system.tv_usec()) as f64 / 1e6);
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        for (family, name) in [(&VIRTUAL, "VmSize:"), (&RESIDENT, "VmRSS:")] {
            if let Some(kibibytes) = amount(&status, name) {
                push(family, kibibytes * 1024.0);
            }
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            // The listing is read through one of them.
            push(&OPEN_FDS, open.count().saturating_sub(1) as f64);
        }
        if let Ok((most, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            push(&MOST_FDS, most as f64);
        }
        samples.push(&BUILD, Labels::default().with("version", env!("CARGO_PKG_VERSION")), 1.0);
    }
}

/// The number in the line of `status` that begins with `name`.
fn amount(status: &str, name: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// All of them, for the reference.
pub(crate) static FAMILIES: &[&Family] = &[&STARTED, &CPU, &VIRTUAL, &RESIDENT, &OPEN_FDS, &MOST_FDS, &BUILD];
static STARTED: Family = Family { name: "process_start_time_seconds", help: "When the process started.", kind: Kind::Gauge };
static CPU: Family = Family { name: "process_cpu_seconds_total", help: "Processor time used, by all threads.", kind: Kind::Counter };
static VIRTUAL: Family = Family { name: "process_virtual_memory_bytes", help: "Memory mapped.", kind: Kind::Gauge };
static RESIDENT: Family = Family { name: "process_resident_memory_bytes", help: "Memory in use.", kind: Kind::Gauge };
static OPEN_FDS: Family = Family { name: "process_open_fds", help: "File descriptors open.", kind: Kind::Gauge };
static MOST_FDS: Family = Family { name: "process_max_fds", help: "File descriptors that may be open.", kind: Kind::Gauge };
static BUILD: Family = Family { name: "proxy_build_info", help: "Which build this is; always 1.", kind: Kind::Gauge };

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::{Format, Registry};

    /// Requirement: a scrape shows what the process takes, in the units that the names say.
    #[test]
    fn the_process_is_measured() {
        let registry = Registry::new(Duration::from_secs(1));
        let process = Process::new(UNIX_EPOCH + Duration::from_millis(1500));
        registry.collect(move |samples| process.sample(samples));
        let text = registry.render(Format::Text, crate::clock::now());
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name} in {text}"));
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        assert_eq!(value("process_start_time_seconds"), 1.5);
        assert!(value("process_cpu_seconds_total") > 0.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") < value("process_max_fds"));
        assert!(text.contains(&format!("proxy_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))));
    }
}
