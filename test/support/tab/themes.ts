/** The variables that Azure DevOps gives to a frame: a few of about 200, in its own notation. */
export const themes = {
  light: {
    'background-color': 'rgba(255, 255, 255, 1)',
    'text-primary-color': 'rgba(0, 0, 0, .9)',
    'text-secondary-color': 'rgba(0, 0, 0, .55)',
    'palette-neutral-10': '234, 234, 234',
  },
  dark: {
    'background-color': 'rgb(32, 31, 30)',
    'text-primary-color': 'rgba(255, 255, 255, .9)',
    'text-secondary-color': 'rgba(255, 255, 255, .7)',
    'palette-neutral-10': '51, 51, 51',
  },
  contrast: {
    'background-color': 'rgb(0, 0, 0)',
    'text-primary-color': 'rgb(255, 255, 255)',
    'text-secondary-color': 'rgb(255, 255, 255)',
    'palette-neutral-10': '255, 255, 255',
  },
} as const;

export type ThemeName = keyof typeof themes;
