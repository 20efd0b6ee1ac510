using Microsoft.EntityFrameworkCore;

namespace WebSample.Endpoints;

/// <summary>A part of a list.</summary>
/// <param name="Items">The items of this page.</param>
/// <param name="Number">The page, from 1.</param>
/// <param name="Size">The most items on a page.</param>
/// <param name="Total">The items on all pages.</param>
public sealed record Page<T>(IReadOnlyList<T> Items, int Number, int Size, int Total);

internal static class Page
{
    public const int Last = 100_000;
    public const int MaxSize = 100;

    public static async Task<Page<T>> ToPageAsync<T>(
        this IQueryable<T> query,
        int number,
        int size,
        CancellationToken ct
    ) =>
        new(await query.Skip((number - 1) * size).Take(size).ToListAsync(ct), number, size, await query.CountAsync(ct));
}
