using System.Linq.Expressions;
using System.Reflection;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Query;

namespace NeoCommons.EfCore;

/// <summary>Tags a query that holds SQL of the application, so that its command can be told from EF's own.</summary>
/// <remarks>
/// EF reports a raw query that something was composed over, and a table-valued function, as an ordinary LINQ query. Looks
/// at each query once, when it is compiled.
/// </remarks>
internal sealed class ForeignSql : IQueryExpressionInterceptor
{
    private const string Tag = "holds SQL of the application";

    /// <summary>Whether a command of EF holds SQL that is not EF's own.</summary>
    public static bool IsIn(string commandText) =>
        commandText.StartsWith("--", StringComparison.Ordinal) && commandText.Contains(Tag, StringComparison.Ordinal);

    public Expression QueryCompilationStarting(Expression queryExpression, QueryExpressionEventData eventData) =>
        new Tagging().Visit(queryExpression);

    private sealed class Tagging : ExpressionVisitor
    {
        private static readonly MethodInfo TagWith = new Func<IQueryable<object>, string, IQueryable<object>>(
            EntityFrameworkQueryableExtensions.TagWith
        ).Method.GetGenericMethodDefinition();

        protected override Expression VisitExtension(Expression node) =>
            node is QueryRootExpression root && !IsKnown(root)
                ? Expression.Call(TagWith.MakeGenericMethod(root.ElementType), node, Expression.Constant(Tag))
                : base.VisitExtension(node);

        // The roots of raw SQL and of functions derive from these; what is unknown counts as theirs.
        private static bool IsKnown(QueryRootExpression root) =>
            root.GetType() == typeof(EntityQueryRootExpression)
            || root is InlineQueryRootExpression or ParameterQueryRootExpression;
    }
}
