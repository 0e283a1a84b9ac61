use super::{Sheet, target};
use crate::api::{Applied, ChangedRoute, Excerpt, Generation, History, Plan, PoolDifference, Route};
use crate::cli::style::{Paint, Style, printable};
use crate::cli::table::{Align, Cell, Table};

/// `dproxy plan`.
pub(in crate::cli) fn plan(plan: &Plan, style: Style) -> Vec<String> {
    let mut sheet = Sheet::new(style);
    sheet.line("plan", format!("{}, compared with generation {}", plan.source, plan.generation));
    if !plan.is_empty() {
        sheet.append(differences(plan, style));
    }
    sheet.append(vec![plan.summary()]);
    sheet.lines
}

/// `dproxy apply`, `dproxy rollback`.
pub(in crate::cli) fn applied(applied: &Applied, style: Style) -> Vec<String> {
    let Applied { generation, changed, plan, confirm_until } = applied;
    if !changed {
        return vec![format!("nothing differs (generation {generation})")];
    }
    let mut lines = differences(plan, style);
    lines.push(plan.summary());
    lines.push(String::new());
    lines.push(format!("generation {generation} is in force"));
    if let Some(until) = confirm_until {
        let before = plan.generation;
        let text = format!(
            "`dproxy confirm` keeps it; without that, the configuration of generation {before} is put in force \
             again at {until}"
        );
        lines.push(style.paint(Paint::Warning, &printable(&text)));
    }
    lines
}

/// What differs, a line each.
fn differences(plan: &Plan, style: Style) -> Vec<String> {
    let mut diff = Diff { lines: Vec::new(), style };
    let (routes, pools) = (&plan.routes, &plan.pools);
    let pool = |PoolDifference { name, what }: &PoolDifference| match what.is_empty() {
        true => format!("pool {name}"),
        false => format!("pool {name}: {}", what.join(", ")),
    };
    let route = |Route { pattern, target: to }: &Route| format!("route {pattern} to {}", target(to));
    let changed = |ChangedRoute { pattern, target: to, before }: &ChangedRoute| {
        format!("route {pattern} to {} instead of {}", target(to), target(before))
    };
    diff.all(Sign::Removed, &pools.removed, pool);
    diff.all(Sign::Added, &pools.added, pool);
    diff.all(Sign::Changed, &pools.changed, pool);
    diff.all(Sign::Removed, &routes.removed, route);
    diff.all(Sign::Added, &routes.added, route);
    diff.all(Sign::Changed, &routes.changed, changed);
    for setting in &plan.settings {
        diff.line(Sign::Changed, setting);
    }
    if !plan.restart_needed.is_empty() {
        let text = format!("only a restart makes {} take effect", plan.restart_needed.join(", "));
        diff.lines.push(style.paint(Paint::Warning, &printable(&text)));
    }
    diff.lines
}

#[derive(Clone, Copy)]
enum Sign {
    Added,
    Removed,
    Changed,
}

struct Diff {
    lines: Vec<String>,
    style: Style,
}

impl Diff {
    fn line(&mut self, sign: Sign, text: &str) {
        let (sign, paint) = match sign {
            Sign::Added => ('+', Paint::Good),
            Sign::Removed => ('-', Paint::Bad),
            Sign::Changed => ('~', Paint::Warning),
        };
        self.lines.push(self.style.paint(paint, &printable(&format!("{sign} {text}"))));
    }

    /// Those of one kind that are listed, and how many more there are.
    fn all<T>(&mut self, sign: Sign, all: &Excerpt<T>, text: impl Fn(&T) -> String) {
        for one in &all.first {
            self.line(sign, &text(one));
        }
        let more = all.count.saturating_sub(all.first.len());
        if more > 0 {
            self.line(sign, &format!("and {more} more"));
        }
    }
}

/// `dproxy history`.
pub(in crate::cli) fn history(history: &History, style: Style) -> Vec<String> {
    let mut table = Table::new(&[
        ("GENERATION", Align::Right),
        ("SINCE", Align::Left),
        ("BY", Align::Left),
        ("KIND", Align::Left),
        ("WHAT", Align::Left),
    ]);
    for Generation { generation, at, by, kind, what, in_force, unconfirmed } in &history.generations {
        let state = match (in_force, unconfirmed) {
            (_, true) => Some("waits to be confirmed"),
            (true, false) => Some("in force"),
            (false, false) => None,
        };
        let what = match &what[..] {
            [one, rest @ ..] if !rest.is_empty() => format!("{one}, and {} more", rest.len()),
            what => what.concat(),
        };
        let what = state.map(str::to_owned).into_iter().chain((!what.is_empty()).then_some(what));
        let paint = if *unconfirmed { Paint::Warning } else { Paint::Plain };
        table.row([
            generation.into(),
            at.into(),
            by.into(),
            kind.into(),
            Cell::painted(what.collect::<Vec<_>>().join(": "), paint),
        ]);
    }
    if table.is_empty() {
        vec!["There are no generations to return to.".to_owned()]
    } else {
        table.lines(style)
    }
}
