//! A chart of what was measured side by side, as SVG.

use std::fmt::Write;

use super::side::{Line, lines};
use super::table::{grouped, micros};
use crate::measure::Spread;
use crate::side::Results;

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
/// Where bars begin and where the longest ends: on the left are names, on the right figures.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 690.0;
const ROW: f64 = 26.0;
const BAR: f64 = 16.0;
/// Above a panel's bars: its title, and what it means.
const HEAD: f64 = 66.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 44.0;

const OURS: &str = "#1f6feb";
const OTHERS: &str = "#8c959f";
const TEXT: &str = "#1f2328";
const FAINT: &str = "#59636e";

/// Bars of one figure.
struct Panel<'a> {
    title: &'a str,
    hint: &'a str,
    /// Of each contestant, if it has one.
    figure: Figure<'a>,
    /// As it is written behind a bar.
    show: fn(f64) -> String,
}

type Figure<'a> = &'a dyn Fn(&Line<'_>) -> Option<Spread>;

/// The chart; `None` if nothing was measured.
pub fn draw(results: &Results, machine: &str) -> Option<String> {
    let lines = lines(results);
    lines.first()?;
    let half = format!("at {} queries/s, half of dnsdist's highest rate", grouped(results.reference / 2.0));
    let panels = [
        Panel {
            title: "Highest rate without loss, queries/s",
            hint: "logarithmic; more is better",
            figure: &|line| line.rate(),
            show: grouped,
        },
        Panel {
            title: "Processor time of the balancer per query",
            hint: "logarithmic; less is better",
            figure: &|line| line.cpu(),
            show: micros,
        },
        Panel {
            title: "Latency, 99 of 100 answers",
            hint: &half,
            figure: &|line| Some(line.latencies(1)?[1]),
            show: micros,
        },
    ];
    let panel = HEAD + ROW * lines.len() as f64;
    let height = TOP + panel * panels.len() as f64 + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"DejaVu Sans, Verdana, sans-serif\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    text(&mut svg, (MARGIN, 34.0), (18, TEXT), "start", "DNS balancers side by side on two processors");
    text(&mut svg, (MARGIN, 54.0), (11, FAINT), "start", machine.lines().next().unwrap_or_default());
    for (place, drawn) in panels.iter().enumerate() {
        drawn.draw(&mut svg, TOP + panel * place as f64, &lines);
    }
    let notes = "* does not route by name.  Medians; lines are from the lowest to the highest of the rounds.";
    text(&mut svg, (MARGIN, height - 18.0), (11, FAINT), "start", notes);
    svg += "</svg>\n";
    Some(svg)
}

impl Panel<'_> {
    fn draw(&self, svg: &mut String, top: f64, lines: &[Line<'_>]) {
        text(svg, (MARGIN, top + 34.0), (14, TEXT), "start", self.title);
        text(svg, (MARGIN, top + 50.0), (11, FAINT), "start", self.hint);
        let figures: Vec<_> = lines.iter().map(|line| (self.figure)(line)).collect();
        let scale = Scale::of(figures.iter().flatten());
        let dnsdist = lines.iter().zip(&figures).find(|(line, _)| line.title() == "dnsdist");
        let dnsdist = dnsdist.and_then(|(_, figure)| *figure).map(|figure| figure.median);
        for (place, (line, figure)) in lines.iter().zip(&figures).enumerate() {
            let middle = top + HEAD + ROW * place as f64 + ROW / 2.0;
            text(svg, (LEFT - 10.0, middle + 4.0), (12, TEXT), "end", &line.title());
            let Some(Spread { min, median, max, .. }) = *figure else {
                text(svg, (LEFT + 6.0, middle + 4.0), (12, FAINT), "start", "not measured");
                continue;
            };
            let colour = if line.title().starts_with("dproxy") { OURS } else { OTHERS };
            let (length, from, to) =
                (scale.length(median), LEFT + scale.length(min), LEFT + scale.length(max));
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{colour}\"/>\n\
                 <path d=\"M{from:.1} {middle:.1}H{to:.1}\" stroke=\"{TEXT}\" stroke-width=\"1.5\"/>",
                middle - BAR / 2.0,
            );
            let mut figure = (self.show)(median);
            if let Some(dnsdist) = dnsdist.filter(|_| line.title() != "dnsdist") {
                figure += &format!(" · {} dnsdist's", times(median / dnsdist));
            }
            text(svg, (LEFT + length.max(to - LEFT) + 8.0, middle + 4.0), (12, TEXT), "start", &figure);
        }
    }
}

/// A logarithmic scale that begins at a tenth of the smallest figure: bars have lengths that can be seen.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of<'s>(figures: impl Iterator<Item = &'s Spread>) -> Self {
        let ends = figures.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), spread| {
            (low.min(spread.min), high.max(spread.max))
        });
        Self { low: ends.0.max(1.0).ln() - 10_f64.ln(), high: ends.1.max(1.0).ln() }
    }

    fn length(&self, figure: f64) -> f64 {
        let share = (figure.max(1.0).ln() - self.low) / (self.high - self.low).max(1.0);
        share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

fn times(ratio: f64) -> String {
    if ratio >= 10.0 {
        format!("{ratio:.0} ×")
    } else if ratio >= 0.1 {
        format!("{ratio:.2} ×")
    } else {
        format!("1/{:.0} of", 1.0 / ratio)
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), (size, colour): (u32, &str), anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{colour}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_measured_is_no_chart() {
        assert_eq!(draw(&Results::default(), ""), None);
    }

    #[test]
    fn a_chart_has_a_bar_and_words_for_each_figure_and_fits() {
        use crate::contestant::Contestant::{Dnsdist, DproxyNative, DproxySlowPath};
        use crate::side::test::{results, sample};
        let rates =
            [(Dnsdist, 98_000.0, 15_000.0), (DproxyNative, 3e6, 400.0), (DproxySlowPath, 52_000.0, 2e4)];
        let samples = rates.map(|(who, rate, cpu)| sample(who, 0, rate, cpu, 123_456_789));
        let svg = draw(&results(samples.into()), "2026, a machine\nthat was busy").unwrap();
        assert_eq!(svg.matches("<rect").count(), 1 + 3 * 3);
        assert!(svg.contains("31 × dnsdist&apos;s") || svg.contains("31 × dnsdist's"), "{svg}");
        assert!(svg.contains("1/38 of dnsdist's") && !svg.contains("busy"), "{svg}");
        for line in svg.lines().filter(|line| line.contains("text-anchor=\"start\"")) {
            let x: f64 = line.split('"').nth(1).unwrap().parse().unwrap();
            let size: f64 = line.split('"').nth(5).unwrap().parse().unwrap();
            let words = line.split(['<', '>']).nth(2).unwrap();
            // DejaVu Sans takes 0.6 of its size for a letter, on average.
            assert!(x + words.chars().count() as f64 * size * 0.62 < WIDTH, "{line}");
        }
    }

    #[test]
    fn bars_are_as_long_as_their_figures_say() {
        let spread = |value: f64| Spread { min: value, median: value, max: value, noisy: false };
        let scale = Scale::of([spread(100.0), spread(10_000.0)].iter());
        let lengths = [10.0, 100.0, 1_000.0, 10_000.0].map(|value| scale.length(value) / (RIGHT - LEFT));
        for (length, expected) in lengths.into_iter().zip([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]) {
            assert!((length - expected).abs() < 1e-9, "{lengths:?}");
        }
    }

    #[test]
    fn words_cannot_break_the_chart() {
        let mut svg = String::new();
        text(&mut svg, (0.0, 0.0), (12, TEXT), "start", "dproxy, xdp = \"off\" & <others>");
        assert!(svg.contains(">dproxy, xdp = &quot;off&quot; &amp; &lt;others></text>"), "{svg}");
    }
}
