/** Reads the response to its end. @throws if its status differs. */
export async function expectResponse(request: Promise<Response>, status: number): Promise<Response> {
  const response = await request;
  const copy = response.clone();
  const text = await response.text();
  if (response.status !== status) throw new Error(`${response.url}: ${response.status} ${text}`);
  return copy;
}
