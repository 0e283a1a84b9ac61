use super::{Sheet, alternatives, policy, pools, target};
use crate::api::{NameRoutes, Routes};
use crate::cli::style::Style;
use crate::cli::table::{Align, Table};

/// What happens to a name that no route matches.
const NO_ROUTE: &str = "none matches: the answer is refused";

/// `dproxy route list`.
pub(in crate::cli) fn routes(routes: &Routes, style: Style) -> Vec<String> {
    let mut table = Table::new(&[("ROUTE", Align::Left), ("LEADS TO", Align::Left)]);
    for route in &routes.routes {
        table.row([(&route.pattern).into(), target(&route.target).into()]);
    }
    if table.is_empty() {
        return vec!["There are no routes: every name is answered refused.".to_owned()];
    }
    table.lines(style)
}

/// `dproxy route show`.
pub(in crate::cli) fn name_routes(routes: &NameRoutes, style: Style) -> Vec<String> {
    let mut sheet = Sheet::new(style);
    sheet.line("name", &routes.name);
    match &routes.route {
        Some(route) => sheet.line("route", format!("{} to {}", route.pattern, target(&route.target))),
        None => sheet.line("route", NO_ROUTE),
    }
    if let Some(alternatives) = alternatives(&routes.also_matching) {
        sheet.line("", alternatives);
    }
    if let Some(pool) = &routes.pool {
        sheet.line("pool", format!("{}, {}", pool.name, policy(pool)));
        sheet.append(pools::members(pool).lines(style));
    }
    sheet.lines
}
