use super::{Sheet, alternatives, policy, target};
use crate::api::{Backend, Explanation, Path, Pool, Route, Target};
use crate::cli::style::{Paint, Style};

/// `dproxy explain`.
pub(in crate::cli) fn explanation(explanation: &Explanation, style: Style) -> Vec<String> {
    let Explanation { generation, name, record_type, from, listener, path, left_by_fast_path, .. } =
        explanation;
    let Explanation { verdict, reason, description, .. } = explanation;
    let mut sheet = Sheet::new(style);
    sheet.line("query", format!("{name} {record_type} from {from} to {listener}"));
    let asked = if *path == Path::Fast { "the loaded program" } else { "the slow path" };
    sheet.line("asked", format!("{asked}, generation {generation}"));
    if let Some(why) = left_by_fast_path {
        sheet.line("fast path", format!("not taken: {why}"));
    }
    match &explanation.route {
        Some(route) => {
            sheet.line("route", format!("{}, {}", route.pattern, why(route, &explanation.also_matching)));
            sheet.line("", format!("to {}", target(&route.target)));
        }
        None => sheet.line("route", "none applied"),
    }
    if let Some(alternatives) = alternatives(&explanation.also_matching) {
        sheet.line("", alternatives);
    }
    if let Some(pool) = &explanation.pool {
        sheet.line("pool", format!("{}, {}", pool.name, policy(pool)));
        if let Some(Target::Pool(from)) = explanation.route.as_ref().map(|route| &route.target)
            && *from != pool.name
        {
            sheet.line("", format!("not {from}: this client is switched from there"));
        }
        match (&explanation.hashed, &explanation.backend) {
            (Some(hashed), _) => sheet.line("", format!("hashed: {hashed}")),
            (None, Some(_)) => sheet.line("", "each query draws anew; this is one draw"),
            (None, None) => {}
        }
        backend(&mut sheet, pool, explanation.backend.as_ref());
    }
    let paint = match verdict.as_str() {
        "forward" | "answer" => Paint::Good,
        _ => Paint::Warning,
    };
    sheet.painted("verdict", &format!("{verdict} ({reason}): {description}"), paint);
    sheet.lines
}

/// Why it is this route that applies.
fn why(route: &Route, also_matching: &[Route]) -> String {
    let Some(next) = also_matching.first() else { return "the only one that matches".to_owned() };
    let ((kind, name), (other, next_name)) = (kind(&route.pattern), kind(&next.pattern));
    if name == next_name {
        format!("{kind} before {other} of the same name")
    } else {
        format!("the longest of {} that match", also_matching.len() + 1)
    }
}

/// The kind of a pattern, and its name.
fn kind(pattern: &str) -> (&'static str, &str) {
    match (pattern.strip_prefix('='), pattern.strip_prefix("*.")) {
        (Some(name), _) => ("exact", name),
        (None, Some("")) => ("wildcard", "."),
        (None, Some(name)) => ("wildcard", name),
        (None, None) => ("subtree", pattern),
    }
}

fn backend(sheet: &mut Sheet, pool: &Pool, chosen: Option<&Backend>) {
    let Some(Backend { address, weight, next_hop, .. }) = chosen else {
        sheet.painted("backend", "none", Paint::Bad);
        for Backend { address, why, .. } in pool.backends.iter().filter(|backend| !backend.reachable) {
            sheet.line("", format!("{address}: {}", why.as_deref().unwrap_or("not reachable")));
        }
        return;
    };
    let in_use = pool.backends.iter().filter(|backend| !backend.drained);
    let sum: u32 = in_use.map(|backend| u32::from(backend.weight)).sum();
    sheet.line("backend", format!("{address}, weight {weight} of {sum}"));
    if let Some(hop) = next_hop {
        let vlans: String = hop.vlans.iter().map(|id| format!(", VLAN {id}")).collect();
        sheet.line("next hop", format!("{} by {}{vlans}, from {}", hop.mac, hop.interface, hop.source));
    }
}
