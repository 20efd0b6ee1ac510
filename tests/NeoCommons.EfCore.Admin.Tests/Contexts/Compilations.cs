using System.Linq.Expressions;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace NeoCommons.EfCore.Admin.Tests.Contexts;

/// <summary>Counts the queries that EF compiles for the contexts that have it among their interceptors.</summary>
internal sealed class Compilations : IQueryExpressionInterceptor
{
    private int _count;

    public int Count => Volatile.Read(ref _count);

    public Expression QueryCompilationStarting(Expression queryExpression, QueryExpressionEventData eventData)
    {
        Interlocked.Increment(ref _count);
        return queryExpression;
    }
}
