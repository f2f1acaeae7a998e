/** What the page of a run tells its tab. The page finds it as `window.hostSettings`. */
export interface HostSettings {
  /** The address of the tab, on another origin. */
  tab: string;
  base: string;
  projectId: string;
  buildId: number;
  token: string;
  theme: Readonly<Record<string, string>>;
  hasClipboard: boolean;
  /** The parameters in the address of the page. */
  parameters: Record<string, string>;
}

/** What the tab has asked of the page, as `window.hostRecord`. */
export interface HostRecord {
  loaded: boolean;
  heights: number[];
  setTheme(theme: Readonly<Record<string, string>>): void;
}
