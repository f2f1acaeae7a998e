export interface Theme {
  isDark: boolean;
  /** Pure black on pure white or the reverse, as themes of high contrast have it. */
  isHighContrast: boolean;
}

type Rgb = readonly [number, number, number];

/** `background` and `text` are colours as a browser computes them: `rgb(0, 0, 0)` or `rgba(0, 0, 0, 0.9)`. */
export function themeOf(background: string, text: string): Theme {
  const back = rgbOf(background, [255, 255, 255]);
  const front = rgbOf(text, back);
  const lights = [luminance(back), luminance(front)];
  const contrast = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
  return { isDark: luminance(back) < 0.18, isHighContrast: contrast >= 20 };
}

/** A translucent colour is laid over the other one. */
function rgbOf(color: string, under: Rgb): Rgb {
  const [red = 0, green = 0, blue = 0, alpha = 1] = (color.match(/[\d.]+/g) ?? []).map(Number);
  const over = (part: number, index: number): number => part * alpha + (under[index] ?? 0) * (1 - alpha);
  return [over(red, 0), over(green, 1), over(blue, 2)];
}

/** The relative luminance of WCAG 2. */
function luminance(color: Rgb): number {
  const [red = 0, green = 0, blue = 0] = color.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
