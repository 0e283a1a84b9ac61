//! What is said about balancers side by side.

use super::bars::Bar;
use super::table::{aligned, grouped, micros};
use crate::contestant::Contestant::{self, Dnsdist, DproxyNative, Nftables, Nginx, Redirect};
use crate::measure::Spread;
use crate::sample::Latency;
use crate::side::{CLIENTS, Failure, LOSS, MOST_CLIENTS, Results, SHARES, Sample, Witnessed};

/// How many times the others' highest rate dproxy's is, natively, at least.
const RATES: [(Contestant, f64); 4] = [(Dnsdist, 10.0), (Nginx, 25.0), (Nftables, 3.0), (Redirect, 0.75)];
/// How many times less processor time a query takes than with dnsdist.
const CPU: f64 = 15.0;
/// Whose answers come later than dproxy's, 99 of 100 of them.
const SLOWER: [Contestant; 3] = [Dnsdist, Nginx, Nftables];
/// Of the rates at which answers are timed, the one that is compared.
const HALF: usize = 1;
/// The rate with many clients, as a share of that with few: what is missing is noise.
const CROWD: f64 = 0.85;
/// What memory may differ by, MiB.
const GROWTH: f64 = 1.0;

/// A figure of one sample.
type Of = fn(&Sample) -> Option<f64>;

/// Without loss: a flood that lost queries is none.
fn rate(sample: &Sample) -> Option<f64> {
    (sample.highest.lost() <= LOSS).then_some(sample.highest.answered)
}

fn cpu(sample: &Sample) -> Option<f64> {
    sample.cpu_ns.filter(|cpu| *cpu > 0.0)
}

fn latency(sample: &Sample, share: usize) -> Option<Latency> {
    sample.timed.get(share)?.latency_ns
}

fn p99(sample: &Sample) -> Option<f64> {
    Some(latency(sample, HALF)?.p99 as f64)
}

fn crowd(sample: &Sample) -> Option<f64> {
    Some(sample.crowd.as_ref()?.answered / sample.highest.answered)
}

fn growth(sample: &Sample) -> Option<f64> {
    let memory = sample.memory.as_ref()?;
    let sum = |memory: &crate::control::Memory| (memory.anonymous + memory.maps) as f64;
    Some((sum(&memory.after) - sum(&memory.before)) / f64::from(1 << 20))
}

/// The bars. Each ratio is of two samples of one round.
pub fn bars(results: &Results) -> Vec<Bar> {
    let ratios = |over: (Contestant, Of), under: (Contestant, Of)| {
        let of = |(contestant, figure): (Contestant, Of), round| {
            figure(results.samples.iter().find(|it| it.contestant == contestant && it.round == round)?)
        };
        let rounds = results.samples.iter().map(|sample| sample.round).max().map_or(0, |last| last + 1);
        Spread::of((0..rounds).filter_map(|round| Some(of(over, round)? / of(under, round)?)))
    };
    let own = |figure: Of| {
        let samples = results.samples.iter().filter(|sample| sample.contestant == DproxyNative);
        Spread::of(samples.filter_map(figure))
    };
    let mut bars = Vec::new();
    for (other, least) in RATES {
        let name = format!("native, highest rate, and that of {}", other.title());
        let spread = ratios((DproxyNative, rate), (other, rate));
        bars.extend(spread.map(|spread| Bar::at_least(name, spread, least, "× that, at least")));
    }
    let spread = ratios((Dnsdist, cpu), (DproxyNative, cpu));
    let name = "native, CPU per query, and that of dnsdist";
    bars.extend(spread.map(|spread| Bar::at_least(name, spread, CPU, "× less, at least")));
    for other in SLOWER {
        let name = format!("native, latency p99 at half of dnsdist's rate, and that of {}", other.title());
        let spread = ratios((DproxyNative, p99), (other, p99));
        bars.extend(spread.map(|spread| Bar::at_most(name, spread, 1.0, "× that, at most")));
    }
    let name = format!("native, rate with {} clients", grouped(MOST_CLIENTS.into()));
    let unit = "× that with 60,000, at least";
    bars.extend(own(crowd).map(|spread| Bar::at_least(name, spread, CROWD, unit)));
    let name = format!("native, memory after {} clients", grouped(MOST_CLIENTS.into()));
    bars.extend(own(growth).map(|spread| Bar::at_most(name, spread, GROWTH, "MiB more, at most")));
    bars
}

/// All samples of a contestant, summarised figure by figure.
pub struct Line<'a> {
    /// Who.
    pub contestant: Contestant,
    samples: Vec<&'a Sample>,
}

/// Those that were measured, the fastest first.
pub fn lines(results: &Results) -> Vec<Line<'_>> {
    let mut lines: Vec<Line> = Vec::new();
    for sample in &results.samples {
        match lines.iter_mut().find(|line| line.contestant == sample.contestant) {
            Some(line) => line.samples.push(sample),
            None => lines.push(Line { contestant: sample.contestant, samples: vec![sample] }),
        }
    }
    // Who has failed has a line without figures.
    for failure in &results.failures {
        if !lines.iter().any(|line| line.contestant == failure.contestant) {
            lines.push(Line { contestant: failure.contestant, samples: Vec::new() });
        }
    }
    let median = |line: &Line| line.rate().map_or(0.0, |rate| rate.median);
    lines.sort_by(|one, other| median(other).total_cmp(&median(one)));
    lines
}

impl Line<'_> {
    fn spread(&self, figure: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(|sample| figure(sample)))
    }

    /// The highest rate without loss.
    pub fn rate(&self) -> Option<Spread> {
        self.spread(rate)
    }

    /// The balancer's time per query, nanoseconds.
    pub fn cpu(&self) -> Option<Spread> {
        self.spread(cpu)
    }

    /// p50, p99 and p99.9 at a share of dnsdist's rate, nanoseconds.
    pub fn latencies(&self, share: usize) -> Option<[Spread; 3]> {
        let of =
            |figure: fn(Latency) -> u64| self.spread(|sample| Some(figure(latency(sample, share)?) as f64));
        Some([of(|it| it.p50)?, of(|it| it.p99)?, of(|it| it.p999)?])
    }

    /// As the table has it; marked if it cannot route by name.
    pub fn title(&self) -> String {
        let mark = if self.contestant.routes_by_name() { "" } else { " *" };
        format!("{}{mark}", self.contestant.title())
    }

    fn lost(&self) -> Option<f64> {
        self.spread(|sample| Some(sample.highest.lost() * 100.0)).map(|lost| lost.max)
    }
}

/// Rates, latencies, and what is to be said about them.
pub fn table(results: &Results) -> String {
    let lines = lines(results);
    let mut text = format!("Side by side, {} clients, 1,000 names\n", grouped(CLIENTS.into()));
    text += &aligned(&rates(&lines));
    text += "\nLatency at 20 %, 50 % and 80 % of ";
    text += &format!("{} queries/s: p50 / p99 / p99.9, µs\n", grouped(results.reference));
    text += &aligned(&latencies(&lines));
    text += "\n  * does not route by name\n";
    text += "  = who sends does the work, so that no more can be offered\n";
    for line in &lines {
        text += &remarks(line);
    }
    for Failure { contestant, round, why } in &results.failures {
        text += &format!("  {}: no figures in round {}: {why}\n", contestant.title(), round + 1);
    }
    for Witnessed { contestant, asked, seen } in &results.witnessed {
        let (asked, sent, answered) =
            (grouped(*asked), grouped(seen.sent as f64), grouped(seen.answered as f64));
        text +=
            &format!("  kxdpgun, {}: told {asked}/s, sent {sent}, answered {answered}\n", contestant.title());
    }
    text
}

fn rates(lines: &[Line<'_>]) -> Vec<[String; 7]> {
    let headings = ["", "queries/s", "min … max", "lost", "of twice", "CPU/query", "1,048,576 clients"];
    let mut rows = vec![headings.map(str::to_owned)];
    for line in lines {
        let none = || "–".to_owned();
        let rate = |spread: Option<Spread>| spread.map_or_else(none, |spread| grouped(spread.median));
        let twice = line.spread(|sample| Some(sample.twice.as_ref()?.answered));
        let crowd = line.spread(|sample| Some(sample.crowd.as_ref()?.answered));
        let ends = |Spread { min, max, .. }| format!("{} … {}", grouped(min), grouped(max));
        rows.push([
            line.title(),
            rate(line.rate()),
            line.rate().map_or_else(none, ends),
            line.lost().map_or_else(none, |lost| format!("{lost:.2} %")),
            if line.contestant.is_process() { rate(twice) } else { "=".to_owned() },
            line.cpu().map_or_else(none, |cpu| micros(cpu.median)),
            rate(crowd),
        ]);
    }
    rows
}

fn latencies(lines: &[Line<'_>]) -> Vec<[String; 4]> {
    let mut rows = vec![["", "20 %", "50 %", "80 %"].map(str::to_owned)];
    for line in lines {
        let cell = |share| {
            let text = line.latencies(share).map(|spreads| {
                let micros = spreads.map(|spread| format!("{:.0}", spread.median / 1000.0));
                micros.join(" / ")
            });
            text.unwrap_or_else(|| "–".to_owned())
        };
        let [few, half, many] = std::array::from_fn::<_, { SHARES.len() }, _>(cell);
        rows.push([line.title(), few, half, many]);
    }
    rows
}

fn remarks(line: &Line<'_>) -> String {
    let figures = [("queries/s", line.rate()), ("CPU/query", line.cpu())];
    let noisy = figures.into_iter().filter_map(|(what, spread)| Some((what, spread.filter(|it| it.noisy)?)));
    let remark = |(what, Spread { min, median, max, .. })| {
        let percent = (max - min) / median * 100.0;
        format!("  {}: {what} varied by {percent:.0} % of its median\n", line.contestant.title())
    };
    noisy.map(remark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side::test::{results, sample};

    #[test]
    fn samples_of_one_round_are_compared() {
        let results = results(vec![
            sample(Dnsdist, 0, 100.0, 15_000.0, 90_000),
            sample(DproxyNative, 0, 1_000.0, 500.0, 5_000),
            sample(DproxyNative, 1, 500.0, 1_000.0, 5_000),
            sample(Dnsdist, 1, 40.0, 15_500.0, 4_000),
        ]);
        let values: Vec<_> = bars(&results).into_iter().map(|bar| (bar.value, bar.bar, bar.held)).collect();
        let latency = f64::midpoint(5.0 / 90.0, 5.0 / 4.0);
        assert_eq!(values[0], (11.25, 10.0, true), "10 and 12.5 times the rate");
        assert_eq!(values[1], (22.75, 15.0, true), "30 and 15.5 times less time");
        assert!((values[2].0 - latency).abs() < 1e-9 && values[2].2, "{values:?}");
        assert_eq!(values[3], (0.5, CROWD, false), "a crowd halves the rate");
        assert_eq!(values[4], (2.0, GROWTH, false), "and takes 2 MiB");
    }

    #[test]
    fn who_failed_has_a_row_that_says_why() {
        let mut results = results(vec![sample(DproxyNative, 0, 1_000.0, 500.0, 5_000)]);
        results.failures.push(Failure { contestant: Nginx, round: 0, why: "is not installed".to_owned() });
        let text = table(&results);
        assert!(text.contains("\n  nginx stream *          –"), "{text}");
        assert!(text.contains("nginx stream: no figures in round 1: is not installed"), "{text}");
        assert!(text.contains("\n  dproxy, native      1,000  1,000 … 1,000"), "{text}");
    }
}
