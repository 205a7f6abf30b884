export const place = undefined as never;
