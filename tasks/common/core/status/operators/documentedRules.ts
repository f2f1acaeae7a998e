/** Rules for the kinds of one project. */
export interface DocumentedRules {
  /** The project's own documentation of the states. */
  source: string;
  /** In the language of the input statusRules, one per line. */
  rules: string;
}
