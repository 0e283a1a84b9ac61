mod edits;
mod explain;
mod follow;
mod in_force;
mod plan;
mod slow_path;
mod switches;
mod whole;
