/** The answer, read to its end. @throws unless it has that status. */
export async function answered(request: Promise<Response>, status: number): Promise<Response> {
  const response = await request;
  const copy = response.clone();
  const text = await response.text();
  if (response.status !== status) throw new Error(`${response.url}: ${response.status} ${text}`);
  return copy;
}
