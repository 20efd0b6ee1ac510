using System.Transactions;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>Transactions of the application: committed, rolled back, in part, after an error, and ambient ones.</summary>
internal static class Transactions
{
    private const string Gone = "rolled back";

    public static IReadOnlyList<FuzzOperation> All { get; } =
    [
        Write("transaction committed", s => InTransactionAsync(s, commit: true)),
        Write("transaction rolled back", s => InTransactionAsync(s, commit: false)),
        Write(
            "transaction sync",
            s =>
            {
                s.Strategy.Execute(() =>
                {
                    s.Context.ChangeTracker.Clear();
                    using var transaction = s.Context.Database.BeginTransaction();
                    s.Context.Add(s.NewRow());
                    s.Context.SaveChanges();
                    s.CheckRows(s.Context.Canaries.AsNoTracking().Take(5).ToList());
                    transaction.Commit();
                });
                return Task.CompletedTask;
            }
        ),
        Write("savepoint", SavepointAsync),
        Write("error inside a transaction", ErrorAsync),
        new FuzzOperation("TransactionScope", Writes: true, Doors.Scope, ScopeAsync),
    ];

    private static FuzzOperation Write(string name, Func<FuzzStep, Task> execute) =>
        new(name, Writes: true, Doors.None, execute);

    private static Task InTransactionAsync(FuzzStep s, bool commit) =>
        s.Strategy.ExecuteAsync(
            async ct =>
            {
                s.Context.ChangeTracker.Clear();
                await using var transaction = await s.Context.Database.BeginTransactionAsync(ct);
                s.Context.Add(s.NewRow(commit ? "" : Gone));
                await s.Context.SaveChangesAsync(ct);
                s.CheckRows(await s.Context.Canaries.AsNoTracking().Take(5).ToListAsync(ct));
                if (commit)
                {
                    await transaction.CommitAsync(ct);
                }
                else if (s.Random.Next(2) == 0)
                {
                    await transaction.RollbackAsync(ct);
                    s.CheckRows(await s.Context.Canaries.AsNoTracking().Take(5).ToListAsync(ct));
                }
            },
            s.Ct
        );

    private static Task SavepointAsync(FuzzStep s) =>
        s.Strategy.ExecuteAsync(
            async ct =>
            {
                s.Context.ChangeTracker.Clear();
                await using var transaction = await s.Context.Database.BeginTransactionAsync(ct);
                await transaction.CreateSavepointAsync("before", ct);
                s.Context.Add(s.NewRow(Gone));
                await s.Context.SaveChangesAsync(ct);
                await transaction.RollbackToSavepointAsync("before", ct);
                s.Context.ChangeTracker.Clear();
                s.CheckRows(await s.Context.Canaries.AsNoTracking().Take(5).ToListAsync(ct));
                s.Context.Add(s.NewRow());
                await s.Context.SaveChangesAsync(ct);
                await transaction.CommitAsync(ct);
                s.CheckRows(await s.Context.Canaries.AsNoTracking().Take(5).ToListAsync(ct));
            },
            s.Ct
        );

    private static Task ErrorAsync(FuzzStep s) =>
        s.Strategy.ExecuteAsync(
            async ct =>
            {
                s.Context.ChangeTracker.Clear();
                await using var transaction = await s.Context.Database.BeginTransactionAsync(ct);
                s.CheckAffected(
                    await s.ASeed().ExecuteUpdateAsync(set => set.SetProperty(c => c.Writer, s.Tenant.Slug), ct),
                    1
                );
                try
                {
                    await s.Context.Database.ExecuteSqlRawAsync("SELECT 1 / 0", ct);
                }
                catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.DivisionByZero)
                {
                    await transaction.RollbackAsync(ct);
                }

                s.CheckRows(await s.Context.Canaries.AsNoTracking().Take(5).ToListAsync(ct));
            },
            s.Ct
        );

    private static Task ScopeAsync(FuzzStep s) =>
        s.Strategy.ExecuteAsync(
            async ct =>
            {
                s.Context.ChangeTracker.Clear();
                using var scope = new TransactionScope(TransactionScopeAsyncFlowOption.Enabled);
                s.CheckRows(await s.Context.Canaries.AsNoTracking().Take(5).ToListAsync(ct));
                s.Context.Add(s.NewRow());
                await s.Context.SaveChangesAsync(ct);
                if (s.Random.Next(2) == 0)
                {
                    scope.Complete();
                }
            },
            s.Ct
        );
}
